;; What a guest can do wrong with its output, and right.
(module $output
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (memory (export "memory") 1)
  (func (export "never") (result i32) (i32.const 0))
  (func (export "empty") (result i32) (call $output_set (i64.const 0) (i64.const 0)) (i32.const 0))
  (func (export "beyond") (result i32) (call $output_set (call $alloc (i64.const 8)) (i64.const 9)) (i32.const 0))
  (func (export "nowhere") (result i32) (call $output_set (i64.const 1000000) (i64.const 8)) (i32.const 0))
  (func (export "low32") (result i32) ;; valid, were it cut to 32 bits
    (call $output_set (i64.or (call $alloc (i64.const 8)) (i64.const 0x100000000)) (i64.const 8)) (i32.const 0))
  (func (export "longlow32") (result i32)
    (call $output_set (call $alloc (i64.const 8)) (i64.const 0x100000008)) (i32.const 0))
  (func (export "wraps") (result i32)
    (call $output_set (call $alloc (i64.const 8)) (i64.const -1)) (i32.const 0))
  (func (export "huge") (result i32)
    (call $output_set (call $alloc (i64.const 2097152)) (i64.const 2097152)) (i32.const 0))
  (func (export "twice") (result i32) ;; the last counts
    (call $output_set (call $alloc (i64.const 8)) (i64.const 8))
    (call $output_set (call $alloc (i64.const 3)) (i64.const 3)) (i32.const 0)))
