package token

import "math/big"

// rocaPrimes is where the primes end of the product that the generator of CVE-2017-15361
// makes keys of 1984 to 3936 bits with (Nemec et al., "The Return of Coppersmith's Attack",
// CCS 2017, §2.1); larger keys have these too.
const rocaPrimes = 701

// roca reports whether an RSA modulus of at least 2048 bits was made by that generator, whose
// keys can be factored: such a modulus is a power of 65537 modulo each of the primes. That
// another one is so by chance is less likely than 2^-150.
func roca(n *big.Int) bool {
	var rest, mod big.Int
	for p := int64(3); p <= rocaPrimes; p += 2 {
		if !mod.SetInt64(p).ProbablyPrime(0) { // exact below 2^64
			continue
		}
		want := rest.Mod(n, &mod).Int64()
		found := false
		for power, i := int64(1), int64(0); i < p && !found; power, i = power*65537%p, i+1 {
			found = power == want
		}
		if !found {
			return false
		}
	}
	return true
}
