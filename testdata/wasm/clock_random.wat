;; Answers 48 bytes: realtime, realtime again after much work, monotonic, resolution, 16 of random.
(module $clock_random
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_res_get" (func $res (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (memory (export "memory") 1)
  (func (export "now") (result i32) (local $to i64) (local $i i32)
    (drop (call $clock (i32.const 0) (i64.const 1) (i32.const 0)))
    (loop $work
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $work (i32.lt_u (local.get $i) (i32.const 3000000))))
    (drop (call $clock (i32.const 0) (i64.const 1) (i32.const 8)))
    (drop (call $clock (i32.const 1) (i64.const 1) (i32.const 16)))
    (drop (call $res (i32.const 0) (i32.const 24)))
    (drop (call $random (i32.const 32) (i32.const 16)))
    (local.set $to (call $alloc (i64.const 48)))
    (local.set $i (i32.const 0))
    (loop $next
      (call $store_u64 (i64.add (local.get $to) (i64.extend_i32_u (local.get $i))) (i64.load (local.get $i)))
      (local.set $i (i32.add (local.get $i) (i32.const 8)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 48))))
    (call $output_set (local.get $to) (i64.const 48))
    (i32.const 0))
  (func (export "badclock") (result i32) ;; answers the error of a CPU clock as return code
    (call $clock (i32.const 2) (i64.const 1) (i32.const 0))))
