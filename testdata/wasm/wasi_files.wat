;; Tries to open a file and to sleep; the output is what path_open and poll_oneoff returned.
(module $wasi_files
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $fd_prestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (memory (export "memory") 1)
  (data (i32.const 16) "/etc/passwd")
  (data (i32.const 152) "\00\00\00\00\01\00\00\00") ;; at 128 a subscription to 4.3 s from now
  (func (export "open") (result i32) (local $to i64)
    (local.set $to (call $alloc (i64.const 4)))
    (call $store_u8 (local.get $to)
      (call $path_open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 11) (i32.const 0)
        (i64.const 2) (i64.const 2) (i32.const 0) (i32.const 64)))
    (call $store_u8 (i64.add (local.get $to) (i64.const 1))
      (call $poll_oneoff (i32.const 128) (i32.const 256) (i32.const 1) (i32.const 512)))
    (call $store_u8 (i64.add (local.get $to) (i64.const 2)) (call $fd_prestat_get (i32.const 3) (i32.const 64)))
    (call $store_u8 (i64.add (local.get $to) (i64.const 3)) (call $fd_close (i32.const 1)))
    (call $output_set (local.get $to) (i64.const 4))
    (i32.const 0)))
