package manifest

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// unit is a suffix and what it stands for.
type unit struct {
	suffix string
	size   int64
}

var timeUnits = []unit{{"h", int64(time.Hour)}, {"m", int64(time.Minute)}, {"s", int64(time.Second)}, {"ms", int64(time.Millisecond)}}

var sizeUnits = []unit{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}}

// written returns n in the largest unit that divides it.
func written(n int64, units []unit) string {
	for _, u := range units {
		if n%u.size == 0 {
			return strconv.FormatInt(n/u.size, 10) + u.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}

var durationText = regexp.MustCompile(`^([1-9][0-9]{0,8})(ms|s|m|h)$`)

// duration is a time from least to most.
func duration(least, most time.Duration) form[time.Duration] {
	return word("a time such as 500ms or 2s", schema{"pattern": durationText.String()},
		func(s string) (time.Duration, *problem) {
			m := durationText.FindStringSubmatch(s)
			if m == nil {
				near := ""
				if d, err := time.ParseDuration(strings.ReplaceAll(strings.ToLower(s), " ", "")); err == nil && d > 0 && d%time.Millisecond == 0 {
					near = written(int64(d), timeUnits)
				}
				return 0, problemf(codeDuration, near, "expected a time such as 500ms or 2s, found %s", quote(s))
			}
			d, err := time.ParseDuration(s)
			if err != nil || d < least || d > most {
				return 0, problemf(codeRange, "", "%s is not from %s to %s", s, written(int64(least), timeUnits), written(int64(most), timeUnits))
			}
			return d, nil
		},
		func(d time.Duration) string { return written(int64(d), timeUnits) })
}

var sizeText = regexp.MustCompile(`^([1-9][0-9]{0,11})(KiB|MiB|GiB)?$`)
var sizeNear = regexp.MustCompile(`(?i)^([1-9][0-9]{0,11}) ?([kmg])i?b?$`)

// size is a number of bytes from least to most, as a text with a unit or a plain number.
func size[T int64 | uint64](least, most int64) form[T] {
	const want = "a size such as 32MiB"
	return form[T]{
		schema: schema{"oneOf": []any{
			schema{"type": "string", "pattern": sizeText.String()},
			schema{"type": "integer", "minimum": least, "maximum": most}}},
		read: func(r *reader, n *yaml.Node, at string) T {
			if !r.is(n, yaml.ScalarNode, at, want) {
				return 0
			}
			m := sizeText.FindStringSubmatch(n.Value)
			if m == nil {
				near := ""
				if g := sizeNear.FindStringSubmatch(n.Value); g != nil {
					near = g[1] + strings.ToUpper(g[2]) + "iB"
				}
				r.add(n, at, codeSize, near, "expected %s, found %s", want, what(n))
				return 0
			}
			v, _ := strconv.ParseInt(m[1], 10, 64) // twelve digits always fit
			i := slices.IndexFunc(sizeUnits, func(u unit) bool { return u.suffix == m[2] })
			if v > math.MaxInt64/sizeUnits[i].size || v*sizeUnits[i].size < least || v*sizeUnits[i].size > most {
				r.add(n, at, codeRange, "", "%s is not from %s to %s", n.Value, written(least, sizeUnits), written(most, sizeUnits))
				return 0
			}
			return T(v * sizeUnits[i].size)
		},
		write: func(v T) any { return written(int64(v), sizeUnits) },
	}
}

// ParseSize reads a size as manifests write it: "32MiB", "65536".
func ParseSize(s string) (bytes int64, err error) {
	m := sizeText.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf("expected a size such as 32MiB, found %q", s)
	}
	v, _ := strconv.ParseInt(m[1], 10, 64) // twelve digits always fit
	i := slices.IndexFunc(sizeUnits, func(u unit) bool { return u.suffix == m[2] })
	if v > math.MaxInt64/sizeUnits[i].size {
		return 0, fmt.Errorf("the size %s is too large", s)
	}
	return v * sizeUnits[i].size, nil
}

// FormatSize writes a size as manifests do, in the largest unit that divides it.
func FormatSize(bytes int64) string { return written(bytes, sizeUnits) }

var rateText = regexp.MustCompile(`^([1-9][0-9]{0,6})/([smh])$`)

var rateUnits = []unit{{"s", int64(time.Second)}, {"m", int64(time.Minute)}, {"h", int64(time.Hour)}}

// rate is a number of requests for each second, minute or hour.
func rate() form[Rate] {
	return word("a rate such as 200/s", schema{"pattern": rateText.String()}, parseRate, writeRate)
}

func parseRate(s string) (Rate, *problem) {
	m := rateText.FindStringSubmatch(s)
	if m == nil {
		count, per, ok := strings.Cut(strings.ToLower(strings.ReplaceAll(s, " ", "")), "/")
		near := ""
		if ok && per != "" && rateText.MatchString(count+"/"+per[:1]) {
			near = count + "/" + per[:1]
		}
		return Rate{}, problemf(codeRate, near, "expected a rate such as 200/s, found %s", quote(s))
	}
	count, _ := strconv.Atoi(m[1]) // seven digits always fit
	i := slices.IndexFunc(rateUnits, func(u unit) bool { return u.suffix == m[2] })
	return Rate{Count: count, Per: time.Duration(rateUnits[i].size)}, nil
}

func writeRate(v Rate) string {
	for _, u := range append(slices.Clone(rateUnits), subjectUnits[1]) {
		if time.Duration(u.size) == v.Per {
			return strconv.Itoa(v.Count) + "/" + u.suffix
		}
	}
	return fmt.Sprintf("%d per %s", v.Count, v.Per)
}

var subjectsText = regexp.MustCompile(`^([1-9][0-9]{0,8})/(hour|day)$`)

var subjectUnits = []unit{{"hour", int64(time.Hour)}, {"day", int64(24 * time.Hour)}}

// subjects is a number of subjects for each hour or day.
func subjects() form[Rate] {
	return word("a number of subjects such as 50000/day", schema{"pattern": subjectsText.String()}, func(s string) (Rate, *problem) {
		m := subjectsText.FindStringSubmatch(s)
		if m == nil {
			count, per, ok := strings.Cut(strings.ToLower(strings.ReplaceAll(s, " ", "")), "/")
			near := ""
			if per == "d" {
				per = "day"
			} else if per == "h" {
				per = "hour"
			}
			if ok && subjectsText.MatchString(count+"/"+strings.TrimSuffix(per, "s")) {
				near = count + "/" + strings.TrimSuffix(per, "s")
			}
			return Rate{}, problemf(codeRate, near, "expected a number of subjects such as 50000/day, found %s", quote(s))
		}
		count, _ := strconv.Atoi(m[1]) // nine digits always fit
		i := slices.IndexFunc(subjectUnits, func(u unit) bool { return u.suffix == m[2] })
		return Rate{Count: count, Per: time.Duration(subjectUnits[i].size)}, nil
	}, func(v Rate) string {
		if v.Per == time.Hour {
			return strconv.Itoa(v.Count) + "/hour"
		}
		return writeRate(v)
	})
}
