;; Reads a back end through our own door and answers its whole memory, in hex: whatever the
;; host has put there is in the answer.
(module $dump
  (import "pointsman:http" "request" (func $request (param i64 i64) (result i64)))
  (import "pointsman:rt" "reply_read" (func $reply_read (param i64 i64) (result i64)))
  (import "pointsman:rt" "output_write" (func $output_write (param i64 i64)))
  (memory (export "memory") 4) ;; the first page is dumped, into the others
  (data (i32.const 16) "\34\00\00\00{\22backend\22:\22source\22,\22method\22:\22GET\22,\22path\22:\22/record\22}")
  (func $digit (param $n i32) (result i32)
    (select (i32.add (local.get $n) (i32.const 48)) (i32.add (local.get $n) (i32.const 87))
      (i32.lt_u (local.get $n) (i32.const 10))))
  (func (export "dump") (result i32) (local $from i32) (local $to i32) (local $n i64)
    (local.set $n (call $request (i64.const 16) (i64.const 56)))
    (drop (call $reply_read (i64.const 1024) (local.get $n)))
    (local.set $to (i32.const 65537))
    (i32.store8 (i32.const 65536) (i32.const 34))
    (loop $next
      (i32.store8 (local.get $to) (call $digit (i32.shr_u (i32.load8_u (local.get $from)) (i32.const 4))))
      (i32.store8 offset=1 (local.get $to) (call $digit (i32.and (i32.load8_u (local.get $from)) (i32.const 15))))
      (local.set $to (i32.add (local.get $to) (i32.const 2)))
      (br_if $next (i32.lt_u (local.tee $from (i32.add (local.get $from) (i32.const 1))) (i32.const 65536))))
    (i32.store8 (local.get $to) (i32.const 34))
    (call $output_write (i64.const 65536) (i64.extend_i32_u (i32.sub (i32.add (local.get $to) (i32.const 1)) (i32.const 65536))))
    (i32.const 0)))
