;; Its initializer breaks off as long as the clock shows less than 1,000,000 seconds.
(module $init_clock
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "pointsman:rt" "output_write" (func $output_write (param i64 i64)))
  (memory (export "memory") 1)
  (global $calls (mut i32) (i32.const 0))
  (func $ctors (export "__wasm_call_ctors")
    (drop (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 0)))
    (if (i64.lt_u (i64.load (i32.const 0)) (i64.const 1000000000000000)) (then unreachable)))
  (func (export "count")
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (i32.store8 (i32.const 16) (global.get $calls))
    (call $output_write (i64.const 16) (i64.const 1))))
