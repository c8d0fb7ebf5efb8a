;; Guests that do not end by themselves. Names say how.
(module $runaway
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "free" (func $free (param i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (memory (export "memory") 16)
  (func $spin (export "spin") (result i32)
    (loop $again (br $again))
    (i32.const 0))
  (func $recurse (export "recurse") (result i32)
    (i32.add (call $recurse) (i32.const 1)))
  (func $ping (export "mutual") (result i32)
    (i32.add (call $pong) (i32.const 1)))
  (func $pong (result i32)
    (i32.add (call $ping) (i32.const 1)))
  ;; 2^60 calls, no loop, no deep recursion
  (func $tree (param $depth i32) (result i32)
    (if (result i32) (i32.eqz (local.get $depth))
      (then (i32.const 1))
      (else (i32.add
        (call $tree (i32.sub (local.get $depth) (i32.const 1)))
        (call $tree (i32.sub (local.get $depth) (i32.const 1)))))))
  (func (export "calltree") (result i32) (call $tree (i32.const 60)))
  (func (export "fill") (result i32)
    (loop $again
      (memory.fill (i32.const 0) (i32.const 7) (i32.const 1048576))
      (br $again))
    (i32.const 0))
  ;; fills whose length the loop does not show
  (func $fills (param $depth i32)
    (if (i32.eqz (local.get $depth))
      (then (memory.fill (i32.const 0) (i32.const 7) (i32.const 1048576)) (return)))
    (call $fills (i32.sub (local.get $depth) (i32.const 1)))
    (call $fills (i32.sub (local.get $depth) (i32.const 1))))
  (func (export "filltree") (call $fills (i32.const 60)))
  (func (export "copies") (result i32)
    (loop $again
      (memory.copy (i32.const 0) (i32.const 524288) (i32.const 524288))
      (br $again))
    (i32.const 0))
  (func (export "grow") (result i32)
    (loop $again
      (drop (memory.grow (i32.const 1)))
      (br $again))
    (i32.const 0))
  ;; blocks of a MiB until there are no more, for ever
  (func (export "hoard") (result i32)
    (loop $again
      (drop (call $alloc (i64.const 1048576)))
      (br $again))
    (i32.const 0))
  (func (export "churn") (result i32)
    (loop $again
      (call $free (call $alloc (i64.const 1048576)))
      (br $again))
    (i32.const 0))
  ;; grows until it may not, and answers: the limit is the guest's to live with
  (func (export "growtolimit") (result i32)
    (loop $again
      (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
    (call $output_set (call $alloc (i64.const 4)) (i64.const 4))
    (i32.const 0)))
