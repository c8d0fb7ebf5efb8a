;; Has a start function that asks the network.
(module $start_http
  (import "extism:host/env" "http_request" (func $request (param i64 i64) (result i64)))
  (start $begin)
  (func $begin (drop (call $request (i64.const 0) (i64.const 0))))
  (func (export "run")))
