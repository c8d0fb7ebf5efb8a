;; Writes what would forge lines of a log, and far too much.
(module $talk
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "pointsman:rt" "error_write" (func $error_write (param i64 i64)))
  (import "pointsman:rt" "output_write" (func $output_write (param i64 i64)))
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
  (import "extism:host/env" "log_error" (func $log_error (param i64)))
  (memory (export "memory") 2)
  (data (i32.const 0) "\20\00\00\00\00\00\00\00") ;; an address; the length follows
  (data (i32.const 32) "\1b[2J\1b]0;owned\07\r{\22level\22:\22ERROR\22,\22msg\22:\22forged-line\22}\c2\9b2J\e2\80\ae\ff\00 time=1 level=ERROR msg=forged\22\0atime=2026-01-01T00:00:00Z level=ERROR msg=forged-line\0a")
  (global $length i32 (i32.const 148))
  (func $done (i32.store8 (i32.const 16) (i32.const 0x30)) (call $output_write (i64.const 16) (i64.const 1)))
  (func (export "escapes") (local $i i32) (local $at i64)
    (i32.store (i32.const 4) (global.get $length))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (local.set $at (call $alloc (i64.extend_i32_u (global.get $length))))
    (loop $next
      (call $store_u8 (i64.add (local.get $at) (i64.extend_i32_u (local.get $i))) (i32.load8_u (i32.add (i32.const 32) (local.get $i))))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (global.get $length))))
    (call $log_error (local.get $at))
    (call $done))
  (func (export "fails") (call $error_write (i64.const 32) (i64.extend_i32_u (global.get $length))))
  ;; a million lines of one byte
  (func (export "million") (local $i i32)
    (i32.store (i32.const 0) (i32.const 4096)) (i32.store (i32.const 4) (i32.const 2))
    (i32.store16 (i32.const 4096) (i32.const 0x0a78))
    (loop $next
      (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000000))))
    (call $done))
  ;; one line of 100 kB
  (func (export "longline")
    (memory.fill (i32.const 4096) (i32.const 0x78) (i32.const 100000))
    (i32.store (i32.const 0) (i32.const 4096)) (i32.store (i32.const 4) (i32.const 100000))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (call $done)))
