;; Uses an operation through Extism's door: request and reply are kernel blocks.
(module $http_user
  (import "extism:host/user" "pointsman_http_request" (func $request (param i64) (result i64)))
  (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (memory (export "memory") 1)
  (func (export "request") (result i32) (local $reply i64)
    (local.set $reply (call $request (call $input_offset)))
    (call $output_set (local.get $reply) (call $length (local.get $reply)))
    (i32.const 0)))
