;; Loops of every kind. The upper part is for comparing results, the lower for counting
;; fuel, where the comments say how many instructions a turn has.
(module $loops
  (import "env" "seen" (func $seen (param i32)))
  (memory 1 5)
  (func $nothing)

  ;; three loops in one another, left and turned by br_table to every level
  (func (export "levels") (param $n i32) (param $m i32) (result i32) (local $s i32) (local $left i32)
    (local.set $left (i32.const 50))
    (block $out
      (loop $a
        (local.set $s (i32.add (local.get $s) (i32.const 1)))
        (loop $b
          (local.set $s (i32.mul (local.get $s) (i32.const 3)))
          (loop $c
            (local.set $s (i32.xor (local.get $s) (local.get $left)))
            (br_if $out (i32.eqz (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
            (local.set $n (i32.add (i32.mul (local.get $n) (i32.const 13)) (local.get $m)))
            (block $d
              (br_table $d $c $b $a $c $b $a $out (i32.rem_u (i32.shr_u (local.get $n) (i32.const 3)) (i32.const 9))))
            (local.set $s (i32.add (local.get $s) (i32.const 7)))
            (br_if $c (i32.and (local.get $s) (i32.const 1)))))))
    (local.get $s))

  ;; the same, where the loop in the middle calls
  (func (export "levels_calling") (param $n i32) (param $m i32) (result i32) (local $s i32) (local $left i32)
    (local.set $left (i32.const 50))
    (block $out
      (loop $a
        (local.set $s (i32.add (local.get $s) (i32.const 1)))
        (loop $b
          (call $seen (local.get $s))
          (loop $c
            (local.set $s (i32.xor (local.get $s) (local.get $left)))
            (br_if $out (i32.eqz (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
            (local.set $n (i32.add (i32.mul (local.get $n) (i32.const 13)) (local.get $m)))
            (block $d
              (br_table $d $c $b $a $c $b $a $out (i32.rem_u (i32.shr_u (local.get $n) (i32.const 3)) (i32.const 9))))
            (local.set $s (i32.add (local.get $s) (i32.const 7)))
            (br_if $c (i32.and (local.get $s) (i32.const 1)))))))
    (local.get $s))

  ;; loops with results, on more of the stack than is theirs
  (func (export "results") (param $n i32) (result i64)
    (local.set $n (i32.and (local.get $n) (i32.const 1023)))
    (i64.const 1000)
    (loop $l (result i32 i64)
      (local.set $n (i32.sub (local.get $n) (i32.const 3)))
      (br_if $l (i32.gt_s (local.get $n) (i32.const 0)))
      (local.get $n)
      (loop $m (result i64)
        (call $seen (local.get $n))
        (local.set $n (i32.add (local.get $n) (i32.const 2)))
        (br_if $m (i32.lt_s (local.get $n) (i32.const 9)))
        (i64.extend_i32_s (local.get $n))))
    (i64.mul (i64.const 11))
    (local.set $n (i32.wrap_i64))
    (i64.extend_i32_s)
    (i64.sub)
    (i64.add (i64.extend_i32_s (local.get $n))))

  ;; a loop that carries its values as parameters
  (func (export "params") (param $n i32) (result i64)
    (local.set $n (i32.and (local.get $n) (i32.const 1023)))
    (i64.const 3)
    (i32.const 1)
    (loop $l (param i64 i32) (result i64)
      (i64.add (i64.extend_i32_u))
      (i64.mul (i64.const 7))
      (local.get $n)
      (br_if $l (i32.gt_s (local.tee $n (i32.sub (local.get $n) (i32.const 1))) (i32.const 0)))
      (drop)))

  ;; the same, with calls
  (func (export "params_calling") (param $n i32) (result i64)
    (local.set $n (i32.and (local.get $n) (i32.const 1023)))
    (i64.const 3)
    (i32.const 1)
    (loop $l (param i64 i32) (result i64)
      (i64.add (i64.extend_i32_u))
      (i64.mul (i64.const 7))
      (call $seen (local.get $n))
      (local.get $n)
      (br_if $l (i32.gt_s (local.tee $n (i32.sub (local.get $n) (i32.const 1))) (i32.const 0)))
      (drop)))

  ;; loops in both arms of an if, left by return
  (func (export "arms") (param $n i32) (result i32) (local $s i32)
    (if (result i32) (i32.and (local.get $n) (i32.const 1))
      (then
        (loop $l (result i32)
          (local.set $s (i32.add (local.get $s) (local.get $n)))
          (if (i32.gt_u (local.get $s) (i32.const 1000)) (then (return (local.get $s))))
          (br_if $l (i32.lt_s (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 9)))
          (local.get $s)))
      (else
        (loop $l (result i32)
          (call $nothing)
          (local.set $s (i32.sub (local.get $s) (local.get $n)))
          (if (i32.lt_s (local.get $s) (i32.const -1000)) (then (return (local.get $n))))
          (br_if $l (i32.lt_s (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 9)))
          (local.get $s)))))

  ;; loops that nothing reaches, and nothing behind them either
  (func (export "dead") (param $n i32) (result i32)
    (block $b
      (br $b)
      (loop $l (result i32) (call $nothing) (br_table $l $b $l (local.get $n)))
      (loop $l (br $l))
      (drop))
    (loop $l (result i32)
      (return (i32.add (local.get $n) (i32.const 1)))
      (loop $m (br $l) (br $m))
      (unreachable)))

  ;; memory that grows and is used in a loop that calls
  (func (export "grown") (param $n i32) (result i32) (local $s i32)
    (local.set $n (i32.and (local.get $n) (i32.const 3)))
    (loop $l
      (i32.store (i32.sub (i32.mul (i32.const 65536) (memory.size)) (i32.const 4)) (local.get $n))
      (drop (memory.grow (i32.const 1)))
      (call $nothing)
      (local.set $s (i32.add (local.get $s) (i32.load (i32.const 65532))))
      (br_if $l (i32.gt_s (local.tee $n (i32.sub (local.get $n) (i32.const 1))) (i32.const 0))))
    (local.get $s))

  ;; 1 instruction, and 7 a turn
  (func (export "fuel_plain") (param $n i32)
    (loop $l (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  ;; 1 instruction, and 8 a turn: little enough to be charged at the loop
  (func (export "fuel_calling") (param $n i32)
    (loop $l (call $nothing) (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  ;; 6 instructions, and 8 a turn: not always at the loop
  (func (export "fuel_after_if") (param $n i32)
    (if (i32.eqz (local.get $n)) (then (return)))
    (loop $l (call $nothing) (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  ;; 4 instructions, and 8 a turn: too much to be charged at the loop
  (func (export "fuel_after_more") (param $n i32)
    (nop) (nop) (nop)
    (loop $l (call $nothing) (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  ;; 1 instruction, 10 a turn, and 7 a turn of the loop in it, of which there are 5
  (func (export "fuel_nested") (param $n i32) (local $m i32)
    (loop $l
      (call $nothing)
      (local.set $m (i32.const 5))
      (loop $k (br_if $k (local.tee $m (i32.sub (local.get $m) (i32.const 1)))))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  (func (export "ever_plain") (loop $l (br $l)))
  (func (export "ever_calling") (loop $l (call $nothing) (br $l)))
  (func (export "ever_nested") (loop $l (call $nothing) (loop $k (br $l)) (br $l))))
