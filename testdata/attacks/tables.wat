;; Guests that grow or fill their table for ever: code whose instances are never used again.
(module $tables
  (table $t 1 funcref)
  (elem declare func $grow)
  (func $grow (export "grow") (loop $again (drop (table.grow $t (ref.null func) (i32.const 1000))) (br $again)))
  (func (export "leap") (loop $again (drop (table.grow $t (ref.func $grow) (i32.const -1))) (br $again)))
  (func (export "fill")
    (drop (table.grow $t (ref.null func) (i32.const 90000)))
    (loop $again (table.fill $t (i32.const 0) (ref.func $grow) (i32.const 90000)) (br $again))))
