;; Calls one host function with two numbers of the caller's choice. The input is the number
;; of the function (1 byte) and its arguments a and b (8 bytes each, little endian); the output
;; is what it returned, as 8 bytes, unless it was output_set. Memory is 64 KiB of 0xAA.
(module $probe
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "free" (func $free (param i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "length_unsafe" (func $length_unsafe (param i64) (result i64)))
  (import "extism:host/env" "load_u8" (func $load_u8 (param i64) (result i32)))
  (import "extism:host/env" "load_u64" (func $load_u64 (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "input_set" (func $input_set (param i64 i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/env" "error_set" (func $error_set (param i64)))
  (import "extism:host/env" "input_load_u8" (func $input_load_u8 (param i64) (result i32)))
  (import "extism:host/env" "input_load_u64" (func $input_load_u64 (param i64) (result i64)))
  (import "extism:host/env" "var_get" (func $var_get (param i64) (result i64)))
  (import "extism:host/env" "var_set" (func $var_set (param i64 i64)))
  (import "extism:host/env" "config_get" (func $config_get (param i64) (result i64)))
  (import "extism:host/env" "log_info" (func $log_info (param i64)))
  (import "pointsman:test" "op" (func $op (param i64 i64) (result i64)))
  (import "extism:host/user" "pointsman_test_op" (func $pointsman_test_op (param i64) (result i64)))
  (import "pointsman:rt" "reply_read" (func $reply_read (param i64 i64) (result i64)))
  (import "extism:host/env" "reset" (func $reset))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fd_fdstat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (memory (export "memory") 1 1)
  (func (export "probe") (result i32) (local $op i32) (local $a i64) (local $b i64) (local $r i64)
    (memory.fill (i32.const 0) (i32.const 0xAA) (i32.const 65536))
    (local.set $op (call $input_load_u8 (i64.const 0)))
    (local.set $a (call $input_load_u64 (i64.const 1)))
    (local.set $b (call $input_load_u64 (i64.const 9)))
    (if (i32.eq (local.get $op) (i32.const 0)) (then (local.set $r (call $alloc (local.get $a))))) ;; alloc
    (if (i32.eq (local.get $op) (i32.const 1)) (then (call $free (local.get $a)))) ;; free
    (if (i32.eq (local.get $op) (i32.const 2)) (then (local.set $r (call $length (local.get $a))))) ;; length
    (if (i32.eq (local.get $op) (i32.const 3)) (then (local.set $r (call $length_unsafe (local.get $a))))) ;; length_unsafe
    (if (i32.eq (local.get $op) (i32.const 4)) (then (local.set $r (i64.extend_i32_u (call $load_u8 (local.get $a)))))) ;; load_u8
    (if (i32.eq (local.get $op) (i32.const 5)) (then (local.set $r (call $load_u64 (local.get $a))))) ;; load_u64
    (if (i32.eq (local.get $op) (i32.const 6)) (then (call $store_u8 (local.get $a) (i32.wrap_i64 (local.get $b))))) ;; store_u8
    (if (i32.eq (local.get $op) (i32.const 7)) (then (call $store_u64 (local.get $a) (local.get $b)))) ;; store_u64
    (if (i32.eq (local.get $op) (i32.const 8)) (then (call $input_set (local.get $a) (local.get $b)))) ;; input_set
    (if (i32.eq (local.get $op) (i32.const 9)) (then (call $output_set (local.get $a) (local.get $b)) (return (i32.const 0)))) ;; output_set
    (if (i32.eq (local.get $op) (i32.const 10)) (then (call $error_set (local.get $a)))) ;; error_set
    (if (i32.eq (local.get $op) (i32.const 11)) (then (local.set $r (i64.extend_i32_u (call $input_load_u8 (local.get $a)))))) ;; input_load_u8
    (if (i32.eq (local.get $op) (i32.const 12)) (then (local.set $r (call $input_load_u64 (local.get $a))))) ;; input_load_u64
    (if (i32.eq (local.get $op) (i32.const 13)) (then (local.set $r (call $var_get (local.get $a))))) ;; var_get
    (if (i32.eq (local.get $op) (i32.const 14)) (then (call $var_set (local.get $a) (local.get $b)))) ;; var_set
    (if (i32.eq (local.get $op) (i32.const 15)) (then (local.set $r (call $config_get (local.get $a))))) ;; config_get
    (if (i32.eq (local.get $op) (i32.const 16)) (then (call $log_info (local.get $a)))) ;; log_info
    (if (i32.eq (local.get $op) (i32.const 17)) (then (local.set $r (call $op (local.get $a) (local.get $b))))) ;; op
    (if (i32.eq (local.get $op) (i32.const 18)) (then (local.set $r (call $pointsman_test_op (local.get $a))))) ;; pointsman_test_op
    (if (i32.eq (local.get $op) (i32.const 19)) (then (local.set $r (call $reply_read (local.get $a) (local.get $b))))) ;; reply_read
    (if (i32.eq (local.get $op) (i32.const 20)) (then (call $reset))) ;; reset
    (if (i32.eq (local.get $op) (i32.const 21)) (then (local.set $r (i64.extend_i32_u (call $fd_write (i32.const 1) (i32.wrap_i64 (local.get $a)) (i32.wrap_i64 (local.get $b)) (i32.wrap_i64 (i64.const 0))))))) ;; fd_write
    (if (i32.eq (local.get $op) (i32.const 22)) (then (local.set $r (i64.extend_i32_u (call $random_get (i32.wrap_i64 (local.get $a)) (i32.wrap_i64 (local.get $b))))))) ;; random_get
    (if (i32.eq (local.get $op) (i32.const 23)) (then (local.set $r (i64.extend_i32_u (call $clock_time_get (i32.const 0) (i64.const 1) (i32.wrap_i64 (local.get $a))))))) ;; clock_time_get
    (if (i32.eq (local.get $op) (i32.const 24)) (then (local.set $r (i64.extend_i32_u (call $fd_fdstat_get (i32.const 1) (i32.wrap_i64 (local.get $a))))))) ;; fd_fdstat_get
    (if (i32.eq (local.get $op) (i32.const 25)) (then (local.set $r (i64.extend_i32_u (call $args_sizes_get (i32.wrap_i64 (local.get $a)) (i32.wrap_i64 (local.get $b))))))) ;; args_sizes_get
    (local.set $a (call $alloc (i64.const 8)))
    (call $store_u64 (local.get $a) (local.get $r))
    (call $output_set (local.get $a) (i64.const 8))
    (i32.const 0)))
