;; Wants Extism's own way to the network, and more that is not offered.
(module $refused_extism_http
  (import "extism:host/env" "http_request" (func (param i64 i64) (result i64)))
  (import "extism:host/env" "http_status_code" (func (result i32)))
  (import "extism:host/env" "http_headers" (func (result i64)))
  (import "extism:host/env" "alloc" (func (param i64) (result i64)))
  (func (export "f")))
