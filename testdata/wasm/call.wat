;; Calls a function of another plugin: its input is ["plugin.function",INPUT], without spaces
;; before INPUT. "relay" answers what that one answers, or fails as it failed; "report"
;; answers both; "again" calls 40 times and answers as "report" does what it was told last;
;; "late" calls after some computing; "huge" answers more than a megabyte of output.
(module $call
  (import "pointsman:call" "function" (func $function (param i64 i64) (result i64)))
  (import "pointsman:rt" "reply_read" (func $reply_read (param i64 i64) (result i64)))
  (import "pointsman:rt" "input_length" (func $input_length (result i64)))
  (import "pointsman:rt" "input_read" (func $input_read (param i64 i64) (result i64)))
  (import "pointsman:rt" "output_write" (func $output_write (param i64 i64)))
  (import "pointsman:rt" "error_write" (func $error_write (param i64 i64)))
  (memory (export "memory") 64)
  (data (i32.const 0) "{\22function\22:\22")
  (data (i32.const 16) "\22}")
  ;; 0x010000 the input, 0x120000 the frame, 0x240000 the reply
  (func $call (result i32) (local $n i32) (local $i i32) (local $head i32) (local $body i32)
    (local.set $n (i32.wrap_i64 (call $input_read (i64.const 0x010000) (call $input_length))))
    (local.set $i (i32.const 2))
    (block $end (loop $name
      (br_if $end (i32.ge_u (local.get $i) (local.get $n)))
      (br_if $end (i32.eq (i32.load8_u (i32.add (i32.const 0x010000) (local.get $i))) (i32.const 0x22)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $name)))
    (local.set $head (i32.add (local.get $i) (i32.const 13))) ;; the name is $i - 2 bytes, and 15 around it
    (i32.store (i32.const 0x120000) (local.get $head))
    (memory.copy (i32.const 0x120004) (i32.const 0) (i32.const 13))
    (memory.copy (i32.const 0x120011) (i32.const 0x010002) (i32.sub (local.get $i) (i32.const 2)))
    (memory.copy (i32.add (i32.const 0x12000f) (local.get $i)) (i32.const 16) (i32.const 2))
    (local.set $body (i32.sub (local.get $n) (i32.add (local.get $i) (i32.const 3)))) ;; without "," and "]"
    (memory.copy (i32.add (i32.const 0x120004) (local.get $head))
      (i32.add (i32.const 0x010002) (local.get $i)) (local.get $body))
    (i32.wrap_i64 (call $reply_read (i64.const 0x240000)
      (call $function (i64.const 0x120000)
        (i64.extend_i32_u (i32.add (i32.const 4) (i32.add (local.get $head) (local.get $body))))))))
  (func $answer (param $n i32)
    (call $output_write (i64.const 0x240001) (i64.extend_i32_u (i32.sub (local.get $n) (i32.const 1)))))
  (func $relay (export "relay") (result i32) (local $n i32)
    (local.set $n (call $call))
    (if (i32.load8_u (i32.const 0x240000)) (then
      (call $error_write (i64.const 0x240001) (i64.extend_i32_u (i32.sub (local.get $n) (i32.const 1))))
      (return (i32.const 1))))
    (call $answer (local.get $n))
    (i32.const 0))
  (func (export "report") (result i32) (call $answer (call $call)) (i32.const 0))
  (func (export "again") (result i32) (local $i i32) (local $n i32)
    (loop $next
      (local.set $n (call $call))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 40))))
    (call $answer (local.get $n))
    (i32.const 0))
  (func (export "late") (result i32) (local $i i32)
    (loop $next
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000000))))
    (call $relay))
  (func (export "huge") (result i32)
    (memory.fill (i32.const 0x010000) (i32.const 0x31) (i32.const 0x200000))
    (call $output_write (i64.const 0x010000) (i64.const 0x200000))
    (i32.const 0)))
