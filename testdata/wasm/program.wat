;; A program: it says how often it ran, then "0" returns, "1" exits, "2" fails, "3" says nothing, "4" an error.
(module $program
  (import "extism:host/env" "input_load_u8" (func $in (param i64) (result i32)))
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
  (import "extism:host/env" "output_set" (func $output (param i64 i64)))
  (import "extism:host/env" "error_set" (func $error (param i64)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (global $runs (mut i32) (i32.const 48))
  (func (export "_start") (local $how i32) (local $block i64)
    (global.set $runs (i32.add (global.get $runs) (i32.const 1)))
    (local.set $how (call $in (i64.const 0)))
    (local.set $block (call $alloc (i64.const 1)))
    (call $store (local.get $block) (global.get $runs))
    (if (i32.ne (local.get $how) (i32.const 51)) ;; "3"
      (then (call $output (local.get $block) (i64.const 1))))
    (if (i32.eq (local.get $how) (i32.const 52)) ;; "4"
      (then (call $error (local.get $block))))
    (if (i32.eq (local.get $how) (i32.const 50)) ;; "2"
      (then (call $exit (i32.const 7))))
    (if (i32.gt_u (local.get $how) (i32.const 48)) ;; not "0"
      (then (call $exit (i32.const 0))))))
