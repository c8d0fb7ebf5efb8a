;; A guest that hands on everything it gets. "send" makes the request in its input, writes the
;; whole reply to the log, keeps it wherever a guest can, and answers it in hexadecimal.
;; "scan" puts its input into its memory and answers in how many places of that and of fresh
;; memory one of the two marks begins that the tests' secrets and people's data have in
;; front. "search" makes the request first and answers how many of the secrets' it finds.
(module $canary
  (import "pointsman:http" "request" (func $request (param i64 i64) (result i64)))
  (import "pointsman:rt" "reply_read" (func $reply_read (param i64 i64) (result i64)))
  (import "pointsman:rt" "input_length" (func $input_length (result i64)))
  (import "pointsman:rt" "input_read" (func $input_read (param i64 i64) (result i64)))
  (import "pointsman:rt" "output_write" (func $output_write (param i64 i64)))
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "load_u64" (func $load_u64 (param i64) (result i64)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "var_set" (func $var_set (param i64 i64)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  ;; 0: two pieces for fd_write and a line end; 4096: the request; 64 KiB: the reply; 192 KiB: the answer
  (memory (export "memory") 10 32)
  (data (i32.const 16) "\0a")
  (global $reply i32 (i32.const 65536))
  (global $answer i32 (i32.const 196608))

  (func $ask (result i32) (local $n i64)
    (i32.store (i32.const 4096) (i32.wrap_i64 (call $input_length)))
    (drop (call $input_read (i64.const 4100) (i64.const 16384)))
    (local.set $n (call $request (i64.const 4096) (i64.add (i64.const 4) (call $input_length))))
    (i32.wrap_i64 (call $reply_read (i64.extend_i32_u (global.get $reply)) (local.get $n))))

  ;; lines of 512 bytes, each beginning in the middle of the one before
  (func $say (param $n i32) (local $at i32) (local $rest i32)
    (i32.store (i32.const 8) (i32.const 16))
    (i32.store (i32.const 12) (i32.const 1))
    (loop $next
      (i32.store (i32.const 0) (i32.add (global.get $reply) (local.get $at)))
      (local.set $rest (i32.sub (local.get $n) (local.get $at)))
      (if (i32.gt_u (local.get $rest) (i32.const 512)) (then (local.set $rest (i32.const 512))))
      (i32.store (i32.const 4) (local.get $rest))
      (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 2) (i32.const 24)))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 256))) (local.get $n)))))

  (func $keep (param $n i32) (local $block i64) (local $i i32)
    (local.set $block (call $alloc (i64.extend_i32_u (i32.add (local.get $n) (i32.const 8)))))
    (loop $next
      (call $store_u64 (i64.add (local.get $block) (i64.extend_i32_u (local.get $i)))
        (i64.load (i32.add (global.get $reply) (local.get $i))))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 8))) (local.get $n))))
    (call $var_set (local.get $block) (local.get $block)))

  (func $digit (param $v i32) (result i32)
    (if (result i32) (i32.lt_u (local.get $v) (i32.const 10))
      (then (i32.add (local.get $v) (i32.const 48))) (else (i32.add (local.get $v) (i32.const 87)))))

  (func (export "send") (local $n i32) (local $i i32) (local $at i32) (local $c i32)
    (local.set $n (call $ask))
    (call $say (local.get $n))
    (call $keep (local.get $n))
    (local.set $at (global.get $answer))
    (i32.store8 (local.get $at) (i32.const 34))
    (loop $next
      (local.set $c (i32.load8_u (i32.add (global.get $reply) (local.get $i))))
      (i32.store8 offset=1 (local.get $at) (call $digit (i32.shr_u (local.get $c) (i32.const 4))))
      (i32.store8 offset=2 (local.get $at) (call $digit (i32.and (local.get $c) (i32.const 15))))
      (local.set $at (i32.add (local.get $at) (i32.const 2)))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (i32.store8 offset=1 (local.get $at) (i32.const 34))
    (call $output_write (i64.extend_i32_u (global.get $answer)) (i64.extend_i32_u (i32.add (i32.mul (local.get $n) (i32.const 2)) (i32.const 2)))))

  ;; how often $word lies in the memory, and in a large block of the kernel's
  (func $count (param $word i64) (result i32) (local $found i32) (local $i i32) (local $end i32) (local $block i64)
    (local.set $end (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 8)))
    (loop $next
      (local.set $found (i32.add (local.get $found) (i64.eq (local.get $word) (i64.load (local.get $i)))))
      (br_if $next (i32.le_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $end))))
    (local.set $i (i32.const 0))
    (local.set $block (call $alloc (i64.const 262144)))
    (loop $next
      (local.set $found (i32.add (local.get $found) (i64.eq (local.get $word)
        (call $load_u64 (i64.add (local.get $block) (i64.extend_i32_u (local.get $i)))))))
      (br_if $next (i32.le_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 262136))))
    (local.get $found))

  ;; answers a number of two digits, 99 for more
  (func $tell (param $n i32)
    (if (i32.gt_u (local.get $n) (i32.const 99)) (then (local.set $n (i32.const 99))))
    (i32.store8 (i32.const 32) (i32.const 34))
    (i32.store8 (i32.const 33) (call $digit (i32.div_u (local.get $n) (i32.const 10))))
    (i32.store8 (i32.const 34) (call $digit (i32.rem_u (local.get $n) (i32.const 10))))
    (i32.store8 (i32.const 35) (i32.const 34))
    (call $output_write (i64.const 32) (i64.const 4)))

  (func $secrets (result i32) (call $count (i64.const 0x7e6345735972_4e63))) ;; cNrYsEc~
  (func $people (result i32) (call $count (i64.const 0x7e7245705972_4e63))) ;; cNrYpEr~

  (func (export "scan")
    (drop (call $input_read (i64.const 4100) (i64.const 16384)))
    (drop (memory.grow (i32.const 22)))
    (call $tell (i32.add (call $secrets) (call $people))))

  (func (export "search")
    (call $keep (call $ask))
    (call $tell (call $secrets))))
