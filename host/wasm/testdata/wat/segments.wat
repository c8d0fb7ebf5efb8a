;; Data segments that overlap or are used by number: they stay what they are.
(module $segments
  (memory (export "memory") 1)
  (data (i32.const 10) "aaaaaaaa")
  (data (i32.const 14) "bbbbbbbb")
  (data $p "passive")
  (data (i32.const 22) "c")
  (func (export "init") (param i32 i32)
    (memory.init $p (i32.const 100) (local.get 0) (local.get 1)))
  (func (export "drop") (param i32) (data.drop $p)))
