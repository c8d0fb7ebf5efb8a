;; Guests that do not end by themselves, or take all that they can get. Names say how.
(module $runaway
  (import "pointsman:rt" "output_write" (func $output_write (param i64 i64)))
  (memory (export "memory") 1 1024)
  (func $answer (call $output_write (i64.const 0) (i64.const 1)))
  (func $spin (export "spin") (loop $again (br $again)))
  ;; 2^60 calls, no loop, no deep recursion
  (func $tree (param $depth i32)
    (if (local.get $depth) (then
      (call $tree (i32.sub (local.get $depth) (i32.const 1)))
      (call $tree (i32.sub (local.get $depth) (i32.const 1))))))
  (func (export "calltree") (call $tree (i32.const 60)))
  (func $ping (export "mutual") (result i32) (i32.add (call $pong) (i32.const 1)))
  (func $pong (result i32) (i32.add (call $ping) (i32.const 1)))
  (type $code (func (result i32)))
  (table 1 funcref)
  (elem (i32.const 0) $indirect)
  (func $indirect (export "indirect") (result i32)
    (i32.add (call_indirect (type $code) (i32.const 0)) (i32.const 1)))
  ;; straight on, over everything there is: what a loop's header would not show
  (func $all (drop (memory.grow (i32.sub (i32.const 1024) (memory.size)))))
  (func $fills (param $depth i32)
    (if (i32.eqz (local.get $depth)) (then
      (memory.fill (i32.const 0) (i32.const 7) (i32.const 67108864)) (return)))
    (call $fills (i32.sub (local.get $depth) (i32.const 1)))
    (call $fills (i32.sub (local.get $depth) (i32.const 1))))
  (func (export "fills") (call $all) (call $fills (i32.const 60)))
  (func $copies (param $depth i32)
    (if (i32.eqz (local.get $depth)) (then
      (memory.copy (i32.const 0) (i32.const 33554432) (i32.const 33554432)) (return)))
    (call $copies (i32.sub (local.get $depth) (i32.const 1)))
    (call $copies (i32.sub (local.get $depth) (i32.const 1))))
  (func (export "copies") (call $all) (call $copies (i32.const 60)))
  (func (export "grow") (loop $again (drop (memory.grow (i32.const 1))) (br $again)))
  ;; takes all memory, writes to each page of it, and answers
  (func (export "hog")
    (call $all)
    (memory.fill (i32.const 0) (i32.const 7) (i32.const 67108864))
    (i32.store8 (i32.const 0) (i32.const 0x30))
    (call $answer)))
