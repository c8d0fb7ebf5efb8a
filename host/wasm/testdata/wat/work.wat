;; What fuel costs: loops of few and of many instructions, and calls.
(module $work
  (memory 1)
  (func (export "tight") (param $n i32) (result i32) (local $s i32)
    (loop $l
      (local.set $s (i32.add (i32.mul (local.get $s) (i32.const 31)) (local.get $n)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $s))
  (func (export "bytes") (param $n i32) (result i32) (local $s i32) (local $i i32)
    (loop $l
      (local.set $i (i32.and (i32.mul (local.get $n) (i32.const 2654435761)) (i32.const 0xfff8)))
      (i32.store (local.get $i) (i32.add (i32.load (local.get $i)) (local.get $n)))
      (local.set $s (i32.xor (i32.rotl (local.get $s) (i32.const 5)) (i32.load8_u offset=3 (local.get $i))))
      (local.set $s (i32.add (local.get $s) (i32.load8_u offset=2 (local.get $i))))
      (local.set $s (i32.xor (i32.rotl (local.get $s) (i32.const 7)) (i32.load8_u offset=1 (local.get $i))))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $s))
  (func $fib (export "fib") (param i32) (result i32)
    (if (i32.lt_s (local.get 0) (i32.const 2)) (then (return (local.get 0))))
    (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2))))))
