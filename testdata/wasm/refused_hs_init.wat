;; Exports a function of the name of Haskell's initializer that is none.
(module $refused_hs_init
  (func (export "hs_init"))
  (func (export "f")))
