package manifest

import "go.yaml.in/yaml/v4"

func consumerSpec() form[Consumer] {
	return object(Consumer{}, nil,
		required(authField()),
		key("scopes", list(0, 100, name(scopeName), itself), "what the consumer may do", func(c *Consumer) *[]string { return &c.Scopes }),
		key("sector", name(plainName), "the group within which pointers are stable; the consumer's own name unless written", func(c *Consumer) *string { return &c.Sector }),
		key("rate", pointer(rate()), "the most requests, such as 200/s", func(c *Consumer) **Rate { return &c.Rate }),
		key("subjects", pointer(subjects()), "the most distinct subjects that are revealed, such as 50000/day", func(c *Consumer) **Rate { return &c.Subjects }))
}

// consumerAuth is the form of a consumer's spec.auth.
type consumerAuth struct{ APIKey *struct{} }

func authField() field[Consumer] {
	f := object(consumerAuth{}, nil,
		required(key("apiKey", pointer(object(struct{}{}, nil)), "{} for a key that pointsman makes", func(a *consumerAuth) **struct{} { return &a.APIKey })))
	return field[Consumer]{
		name: "auth", doc: "how the consumer proves who it is", schema: f.schema,
		read: func(r *reader, n *yaml.Node, at string, c *Consumer) {
			c.APIKey = f.read(r, n, at).APIKey != nil
		},
		write: func(c *Consumer) any { return f.write(consumerAuth{APIKey: &struct{}{}}) },
	}
}
