;; Uses Extism's own http functions. Its input is a request as JSON.
(module $extism_http
  (import "extism:host/env" "http_request" (func $request (param i64 i64) (result i64)))
  (import "extism:host/env" "http_status_code" (func $status (result i32)))
  (import "extism:host/env" "http_headers" (func $headers (result i64)))
  (import "extism:host/env" "input_offset" (func $input (result i64)))
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
  (import "extism:host/env" "output_set" (func $output (param i64 i64)))

  (func $answer (param $block i64)
    (call $output (local.get $block) (call $length (local.get $block))))

  ;; A block of one byte.
  (func $byte (param $value i32) (result i64) (local $block i64)
    (local.set $block (call $alloc (i64.const 1)))
    (call $store (local.get $block) (local.get $value))
    (local.get $block))

  ;; The body of the answer.
  (func (export "fetch") (result i32)
    (call $answer (call $request (call $input) (i64.const 0)))
    (i32.const 0))

  ;; The body of the answer to a request with the body "b".
  (func (export "post") (result i32)
    (call $answer (call $request (call $input) (call $byte (i32.const 98))))
    (i32.const 0))

  ;; The headers of the answer.
  (func (export "headers")
    (drop (call $request (call $input) (i64.const 0)))
    (call $answer (call $headers)))

  ;; The status of the answer in hundreds, as a digit.
  (func (export "status")
    (drop (call $request (call $input) (i64.const 0)))
    (call $answer (call $byte (i32.add (i32.const 48) (i32.div_u (call $status) (i32.const 100))))))

  ;; What there is before any request: 0 and 0.
  (func (export "before")
    (call $answer (call $byte (i32.add (i32.const 48) (i32.add (call $status) (i32.wrap_i64 (call $headers)))))))

  ;; How many blocks of two are still there after a request: none.
  (func (export "freed") (local $body i64) (local $head i64)
    (local.set $head (call $input))
    (local.set $body (call $byte (i32.const 98)))
    (drop (call $request (local.get $head) (local.get $body)))
    (call $answer (call $byte (i32.add (i32.const 48)
      (i32.add (i64.ne (call $length (local.get $body)) (i64.const 0)) (i64.ne (call $length (local.get $head)) (i64.const 0)))))))

  ;; Blocks that there are not.
  (func (export "wild_request") (drop (call $request (i64.const 123456) (i64.const 0))))
  (func (export "wild_body") (drop (call $request (call $input) (i64.const 123456))))

  ;; Asks after it has filled most of the room for blocks.
  (func (export "hoard")
    (drop (call $alloc (i64.const 18873000)))
    (call $answer (call $request (call $input) (i64.const 0))))

  ;; Goes on after a request that was refused, as no guest can.
  (global $times (mut i32) (i32.const 0))
  (func (export "times")
    (global.set $times (i32.add (global.get $times) (i32.const 1)))
    (call $answer (call $byte (i32.add (i32.const 48) (global.get $times))))
    (drop (call $request (call $input) (i64.const 0)))))
