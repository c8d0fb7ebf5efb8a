;; Asks in its initialization, and in its call, whether what it prepares is kept.
(module $kept
  (import "pointsman:rt" "output_write" (func $output_write (param i64 i64)))
  (import "pointsman:rt" "kept" (func $kept (result i32)))
  (memory (export "memory") 1)
  (func (export "pointsman_warm") (i32.store8 (i32.const 0) (call $kept)))
  (func (export "answer")
    (i32.store8 (i32.const 1) (call $kept))
    (call $output_write (i64.const 0) (i64.const 2))))
