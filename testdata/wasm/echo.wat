;; Answers its input: "echo" as it lies, "copy" word by word, "code7" with a return code
;; and an error, "fail" with an error only.
(module $echo
  (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "input_load_u8" (func $input_load_u8 (param i64) (result i32)))
  (import "extism:host/env" "input_load_u64" (func $input_load_u64 (param i64) (result i64)))
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "free" (func $free (param i64)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/env" "error_set" (func $error_set (param i64)))
  (memory (export "memory") 1)
  (func (export "echo") (result i32)
    (call $output_set (call $input_offset) (call $input_length))
    (i32.const 0))
  (func (export "nothing")) ;; a function without a result, and without output
  (func $copy (export "copy") (result i32)
    (local $n i64) (local $i i64) (local $to i64)
    (local.set $n (call $input_length))
    (local.set $to (call $alloc (local.get $n)))
    (block $bytes
      (loop $words
        (br_if $bytes (i64.gt_u (i64.add (local.get $i) (i64.const 8)) (local.get $n)))
        (call $store_u64 (i64.add (local.get $to) (local.get $i)) (call $input_load_u64 (local.get $i)))
        (local.set $i (i64.add (local.get $i) (i64.const 8)))
        (br $words)))
    (block $done
      (loop $rest
        (br_if $done (i64.ge_u (local.get $i) (local.get $n)))
        (call $store_u8 (i64.add (local.get $to) (local.get $i)) (call $input_load_u8 (local.get $i)))
        (local.set $i (i64.add (local.get $i) (i64.const 1)))
        (br $rest)))
    (call $output_set (local.get $to) (local.get $n))
    (call $free (local.get $to)) ;; the output outlives its block
    (i32.const 0))
  (func (export "code7") (result i32)
    (call $error_set (call $input_offset))
    (i32.const 7))
  (func (export "fail") (result i32)
    (call $output_set (call $input_offset) (call $input_length))
    (call $error_set (call $input_offset))
    (i32.const 0))
  (func (export "takes") (param i32) (result i32) (i32.const 0))
  (func (export "malloc") (result i32) (i32.const 0))
  (func (export "_start")))
