;; Data segments that overlap: their order matters.
(module $overlap
  (memory (export "memory") 1)
  (data (i32.const 10) "aaaaaaaa")
  (data (i32.const 14) "bbbbbbbb")
  (data (i32.const 8) "ccccc")
  (data $nobody "passive")
  (func (export "load") (param i32) (result i64) (i64.load (local.get 0))))
