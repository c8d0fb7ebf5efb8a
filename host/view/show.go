package view

import "hash/maphash"

// object goes over the object at i. n is nil or shows members.
func (s *scanner) object(i, depth int, n *node) int {
	if depth++; depth > maxDepth {
		return s.fail(i, tooDeep)
	}
	t, id := s.text, s.names.object()
	if n != nil {
		s.emit("{")
	}
	first := true
	for i++; ; i++ {
		if i < len(t) && t[i] <= ' ' {
			i = s.space(i)
		}
		if i < len(t) && t[i] == '}' && first {
			break
		}
		if i >= len(t) || t[i] != '"' {
			return s.fail(i, "no name of a member")
		}
		first = false
		if s.left--; s.left < 0 {
			return s.fail(i, tooMany)
		}
		name := i
		end, escaped := s.str(i)
		if end < 0 {
			return end
		}
		plain := t[name+1 : end-1]
		if escaped {
			s.plain = unquote(s.plain[:0], plain)
			plain = s.plain
		}
		hash := maphash.Bytes(seed, plain)
		if !s.names.add(t, id, hash, name, plain) {
			return s.fail(name, "a name that its object has twice")
		}
		if i = end; i >= len(t) || t[i] != ':' {
			if i = s.space(i); i >= len(t) || t[i] != ':' {
				return s.fail(i, "no colon after a name")
			}
		}
		if i++; i < len(t) && t[i] <= ' ' {
			i = s.space(i)
		}
		switch {
		case n == nil && i < len(t) && t[i] == '"': // most values are strings
			i, _ = s.str(i)
		case n == nil:
			i = s.value(i, depth, nil)
		default:
			i = s.member(i, depth, n, hash, plain, span{name, end})
		}
		if i < 0 {
			return i
		}
		if i < len(t) && t[i] <= ' ' {
			i = s.space(i)
		}
		if i < len(t) && t[i] == ',' {
			continue
		}
		if i < len(t) && t[i] == '}' {
			break
		}
		return s.fail(i, "neither a comma nor the end of the object")
	}
	if n != nil {
		s.emit("}")
	}
	return i + 1
}

// array goes over the array at i. n is nil or shows elements.
func (s *scanner) array(i, depth int, n *node) int {
	if depth++; depth > maxDepth {
		return s.fail(i, tooDeep)
	}
	t := s.text
	if n != nil {
		s.emit("[")
	}
	first := true
	for i++; ; i++ {
		if i < len(t) && t[i] <= ' ' {
			i = s.space(i)
		}
		if i < len(t) && t[i] == ']' && first {
			break
		}
		if s.left--; s.left < 0 {
			return s.fail(i, tooMany)
		}
		if n == nil {
			i = s.value(i, depth, nil)
		} else {
			if !first {
				s.emit(",")
			}
			i = s.show(i, depth, n.elements)
		}
		if i < 0 {
			return i
		}
		first = false
		if i < len(t) && t[i] <= ' ' {
			i = s.space(i)
		}
		if i < len(t) && t[i] == ',' {
			continue
		}
		if i < len(t) && t[i] == ']' {
			break
		}
		return s.fail(i, "neither a comma nor the end of the array")
	}
	if n != nil {
		s.emit("]")
	}
	return i + 1
}

// member goes over the value of the member of that name of an object of which n shows
// something.
func (s *scanner) member(i, depth int, n *node, hash uint64, plain []byte, name span) int {
	m := n.member(hash, plain)
	if m == nil || !m.fits(s.text, i) {
		s.dropped.member(n, hash, name)
		return s.value(i, depth, nil)
	}
	if !s.finding {
		if s.out[len(s.out)-1] != '{' {
			s.out = append(s.out, ',')
		}
		s.out = append(s.out, s.text[name.from:name.to]...)
		s.out = append(s.out, ':')
	}
	return s.show(i, depth, m)
}

// show goes over the value at i and shows what n shows of it; null when that is nothing.
func (s *scanner) show(i, depth int, n *node) int {
	switch {
	case n == nil || !n.fits(s.text, i):
		end := s.value(i, depth, nil)
		if end > 0 && string(s.text[i:end]) != "null" {
			s.dropped.element(n)
		}
		s.emit("null")
		return end
	case !n.whole:
		return s.value(i, depth, n)
	}
	end := s.value(i, depth, nil)
	switch {
	case end < 0:
	case s.finding:
		s.found = append(s.found, span{i, end})
	default:
		s.out = append(s.out, s.text[i:end]...)
	}
	return end
}

func (s *scanner) emit(text string) {
	if !s.finding {
		s.out = append(s.out, text...)
	}
}
