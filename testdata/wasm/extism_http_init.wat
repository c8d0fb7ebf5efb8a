;; Uses Extism's http_request before there is a call.
(module $extism_http_init
  (import "extism:host/env" "http_request" (func $request (param i64 i64) (result i64)))
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "output_set" (func $output (param i64 i64)))
  (func (export "_initialize") (drop (call $request (call $alloc (i64.const 2)) (i64.const 0))))
  (func (export "run") (call $output (i64.const 0) (i64.const 0))))
