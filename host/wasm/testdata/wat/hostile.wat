;; What a guest does that wants to keep the host busy.
(module $hostile
  (type $f (func (param i32)))
  (memory (export "memory") 16)
  (table $t 2 funcref)
  (elem (i32.const 0) func $indirect)
  (func (export "loop") (param i32) (loop (br 0)))
  (func (export "empty_blocks") (param i32) (loop $l (block) (block) (block) (br_if $l (i32.const 1))))
  ;; 2^40 calls without a loop or deep nesting
  (func $tree (export "tree") (param i32)
    (if (i32.lt_s (local.get 0) (i32.const 40)) (then
      (call $tree (i32.add (local.get 0) (i32.const 1)))
      (call $tree (i32.add (local.get 0) (i32.const 1))))))
  (func $fills (export "fills") (param i32)
    (if (i32.lt_s (local.get 0) (i32.const 30)) (then
      (memory.fill (i32.const 0) (i32.const 1) (i32.const 1048576))
      (memory.fill (i32.const 0) (i32.const 2) (i32.const 1048576))
      (call $fills (i32.add (local.get 0) (i32.const 1)))
      (call $fills (i32.add (local.get 0) (i32.const 1))))))
  (func $copies (export "copies") (param i32)
    (if (i32.lt_s (local.get 0) (i32.const 30)) (then
      (memory.copy (i32.const 0) (i32.const 64) (i32.const 1048000))
      (call $copies (i32.add (local.get 0) (i32.const 1)))
      (call $copies (i32.add (local.get 0) (i32.const 1))))))
  (func (export "fill_4gib") (param i32) (memory.fill (i32.const 0) (i32.const 1) (i32.const -1)))
  (func $grows (export "grows") (param i32)
    (if (i32.lt_s (local.get 0) (i32.const 40)) (then
      (drop (memory.grow (i32.const -1)))
      (call $grows (i32.add (local.get 0) (i32.const 1)))
      (call $grows (i32.add (local.get 0) (i32.const 1))))))
  (func $tables (export "tables") (param i32)
    (if (i32.lt_s (local.get 0) (i32.const 40)) (then
      (drop (table.grow $t (ref.null func) (i32.const 10000)))
      (table.fill $t (i32.const 0) (ref.null func) (table.size $t))
      (call $tables (i32.add (local.get 0) (i32.const 1)))
      (call $tables (i32.add (local.get 0) (i32.const 1))))))
  (func $self (export "self") (param i32) (call $self (i32.add (local.get 0) (i32.const 1))))
  (func $ping (export "ping") (param i32) (call $pong (local.get 0)) (drop (i32.const 0)))
  (func $pong (param i32) (call $ping (local.get 0)))
  (func $indirect (export "indirect") (param i32)
    (call_indirect (type $f) (local.get 0) (i32.const 0)) (call $nop))
  (func $nop)
  (func $mutual (export "returning") (param i32) (result i32)
    (return (call $mutual (i32.add (local.get 0) (i32.const 1))))))
