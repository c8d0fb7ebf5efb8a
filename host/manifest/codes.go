package manifest

import "slices"

// Code explains one sort of fault. IDs never change their meaning: PM1… is text and YAML,
// PM2… the shape of one document, PM3… what documents say about each other.
type Code struct {
	ID          string // "PM2001"
	Title       string // a few words
	Explanation string // what is wrong, why it matters, what to do
}

// Codes returns every code, in order.
func Codes() []Code { return slices.Clone(codes) }

// Explain returns the code with that ID, and whether there is one.
func Explain(id string) (Code, bool) {
	i := slices.IndexFunc(codes, func(c Code) bool { return c.ID == id })
	if i < 0 {
		return Code{}, false
	}
	return codes[i], true
}

const (
	codeUnreadable = "PM1001"
	codeTooLarge   = "PM1002"
	codeTooMany    = "PM1003"
	codeEncoding   = "PM1004"
	codeCharacter  = "PM1005"
	codeTab        = "PM1006"
	codeSyntax     = "PM1007"
	codeDepth      = "PM1008"
	codeAnchor     = "PM1009"
	codeAlias      = "PM1010"
	codeTag        = "PM1011"
	codeMerge      = "PM1012"
	codeDirective  = "PM1013"
	codeDuplicate  = "PM1014"
	codeCase       = "PM1015"
	codeKeyType    = "PM1016"
	codeCut        = "PM1017"
	codeNone       = "PM1018"
	codeExtension  = "PM1019"

	codeUnknownKey    = "PM2001"
	codeMissing       = "PM2002"
	codeType          = "PM2003"
	codeAmbiguous     = "PM2004"
	codeVersion       = "PM2005"
	codeKind          = "PM2006"
	codeName          = "PM2007"
	codeWord          = "PM2008"
	codeDuration      = "PM2009"
	codeSize          = "PM2010"
	codeRate          = "PM2011"
	codeNumber        = "PM2012"
	codePrefix        = "PM2013"
	codeURL           = "PM2014"
	codeEndpoint      = "PM2015"
	codeFieldName     = "PM2016"
	codeFieldDenied   = "PM2017"
	codePath          = "PM2018"
	codeDigest        = "PM2019"
	codePattern       = "PM2020"
	codeReference     = "PM2021"
	codeRepeated      = "PM2022"
	codeLength        = "PM2023"
	codeRange         = "PM2024"
	codeContradiction = "PM2025"
	codeRelease       = "PM2026"
	codeSchema        = "PM2027"
	codePathSecret    = "PM2028"
	codeView          = "PM2029"
	codeChoice        = "PM2030"

	codeSameName     = "PM3001"
	codeNoBackend    = "PM3002"
	codeNoPlugin     = "PM3003"
	codeNoReference  = "PM3004"
	codeSelf         = "PM3005"
	codeCycle        = "PM3006"
	codeUnusedStep   = "PM3007"
	codeNoStep       = "PM3008"
	codeDeadline     = "PM3009"
	codeCollision    = "PM3010"
	codePathParam    = "PM3011"
	codePrivate      = "PM3012"
	codeSameAs       = "PM3013"
	codeCeiling      = "PM3014"
	codeNoDomain     = "PM3015"
	codeNoStatement  = "PM3016"
	codeOtherSort    = "PM3017"
	codeNotCallable  = "PM3018"
	codeCallCycle    = "PM3019"
	codeCallDepth    = "PM3020"
	codeOpenReach    = "PM3021"
	codeNotShown     = "PM3022"
	codeNoIssuer     = "PM3023"
	codeOneGateway   = "PM3024"
	codeSameIssuer   = "PM3025"
	codeSameCaller   = "PM3026"
	codeIdleBackend  = "PM3101"
	codeIdlePlugin   = "PM3102"
	codeUselessScope = "PM3103"
	codeIdleDomain   = "PM3104"
	codeNoLabel      = "PM3105"
	codeNoFurther    = "PM3106"
	codeIdleIssuer   = "PM3107"
	codeTwoCallers   = "PM3108"
)

var codes = []Code{
	{codeUnreadable, "file cannot be read", "The file is listed below the root but could not be opened or is not a regular file. Check permissions and links."},
	{codeTooLarge, "file or document too large", "A file, and the canonical form of a document, may have 256 KiB. Split the file: documents may be spread over files as you like."},
	{codeTooMany, "too many files or documents", "A set may have 1000 files, 10000 documents and 16 MiB in all. Check that the root is the folder that was meant."},
	{codeEncoding, "not UTF-8", "Manifests are UTF-8. Another encoding would be read differently by different programs. Convert the file."},
	{codeCharacter, "character not allowed", "Control characters, byte order marks, unusual line ends and characters that change the direction of writing are refused: they hide what a document says from whoever reviews it."},
	{codeTab, "tab", "YAML forbids tabs in indentation, and elsewhere programs disagree about them. Use spaces; inside a text write \"\\t\" in double quotes."},
	{codeSyntax, "not YAML", "The text is not well-formed YAML. Reading goes on at the next line that is \"---\"."},
	{codeDepth, "nested too deeply", "Documents may be nested 64 levels deep."},
	{codeAnchor, "anchor", "Anchors (&name) are refused: a document says what it means in the place where it is read. Repeat the text."},
	{codeAlias, "alias", "Aliases (*name) are refused: a document says what it means in the place where it is read. Repeat the text. Put a text that begins with * in quotes."},
	{codeTag, "tag", "Tags (!!str, !thing) are refused: the type follows from the key. Put a text in quotes."},
	{codeMerge, "merge key", "Merge keys (<<) are refused: what is merged is not visible where it is read. Repeat the keys."},
	{codeDirective, "directive", "Directives (%YAML, %TAG) change how the rest of a file is read and are refused. Remove the line."},
	{codeDuplicate, "duplicate key", "A key is written twice in one mapping. Programs disagree about which one counts. Remove one."},
	{codeCase, "keys that differ only in case", "Two keys of a mapping differ only in upper and lower case. Some programs take them for the same. Rename one."},
	{codeKeyType, "key is not a text", "Keys are texts of at most 256 characters, not lists, mappings or empty."},
	{codeCut, "more faults", "A file has more faults than are listed. Mend these first."},
	{codeNone, "no manifests", "There is no document below the root. An empty set would remove everything that is deployed, so it is taken for a wrong folder."},
	{codeExtension, "file extension", "Only files that end in .yaml or .yml are read. This one ends almost so and would be left out silently."},

	{codeUnknownKey, "unknown key", "The key means nothing here. What is not understood is not skipped, because it might have been a restriction."},
	{codeMissing, "missing key", "A key that has no default is missing, or empty."},
	{codeType, "wrong type", "A mapping, list, text, number or yes/no stands where another is expected."},
	{codeAmbiguous, "ambiguous text", "Unquoted, this is a text to one YAML program and a number, date, yes/no or null to another. Put it in quotes if a text is meant; write true, false, null or a JSON number if one of those is."},
	{codeVersion, "API version", "Every document says apiVersion: pointsman/v1."},
	{codeKind, "kind", "The kind is not one of Backend, Domain, Plugin, Route, Issuer, Consumer, Gateway. A PluginAbout (plugin.yaml) lives inside its module, not among the manifests."},
	{codeName, "name", "Names are a lower-case letter followed by at most 62 lower-case letters, digits or hyphens. Parameters and functions may also have upper case and underscores."},
	{codeWord, "not one of the words", "The value must be one of a few words."},
	{codeDuration, "time", "A time is a whole number and a unit, without a space: 300ms, 2s, 1m, 1h."},
	{codeSize, "size", "A size is a whole number of bytes, or one with KiB, MiB or GiB, without a space: 32MiB."},
	{codeRate, "rate", "A rate is a whole number, a slash and s, m or h: 200/s. Subjects are counted for longer: 50000/day, 3000/hour."},
	{codeNumber, "number", "A number is written as in JSON, is at most 64 characters long and fits a 64-bit float in size. Its text is kept as it is."},
	{codePrefix, "address prefix", "A prefix is an address and a length, in the usual short form and without host bits: 10.1.0.0/16."},
	{codeURL, "URL", "A back end's URL is https, a host in lower case, a port unless it is the usual one, and a base path without a slash at the end. User, password, query and fragment have no place in it, nor has an IP address in an unusual spelling."},
	{codeEndpoint, "method and path", "Written as METHOD /path/{parameter}: one of GET HEAD POST PUT PATCH DELETE, one space, and whole segments that are literal or one {parameter}. No wildcard, no percent sign, no empty or dot segments."},
	{codeFieldName, "header or query name", "The name is not one that HTTP allows here."},
	{codeFieldDenied, "header or query name is reserved", "The host sets this one itself, or setting it could change who the request is from, where it goes or how it is framed. No plugin can be granted it."},
	{codePath, "file path", "A path is relative to the manifests' root, with slashes, and does not leave it."},
	{codeDigest, "digest", "A SHA-256 is 64 lower-case hexadecimal digits."},
	{codePattern, "pattern", "A pattern is a regular expression (RE2 syntax) of at most 500 characters. It must match the whole value and must not match the empty text."},
	{codeReference, "reference", "A reference is the whole text: \"${params.name}\", \"${step}\" or \"${step.field.field}\". There is no expression language. Write $${ for a literal ${."},
	{codeRepeated, "repeated entry", "A list has the same entry twice."},
	{codeLength, "length", "A text, list or mapping has too many or too few entries or characters."},
	{codeRange, "out of range", "A number, time or size is smaller or larger than can be set."},
	{codeContradiction, "contradiction", "Two keys exclude each other or need each other."},
	{codeRelease, "version", "A plugin's version is MAJOR.MINOR.PATCH, perhaps with a suffix: 1.4.0, 2.0.0-rc.1."},
	{codeSchema, "JSON Schema", "A function's input and output are JSON Schemas, draft 2020-12 or draft-07, without references to other documents."},
	{codePathSecret, "credential in the path", "Paths are written to logs by back ends and whatever stands before them, and a credential in the path with them. Some back ends take it nowhere else."},
	{codeView, "view", "A view is a list of paths, or the word all. A path is a chain of members with dots between them: id, address.city. [] stands for every element of an array: orders[].id, emails[], and [].id where the whole document is one. A member whose name is no plain word is in JSON quotes: \"a.b\".c. There are no wildcards, no numbers of elements and no conditions."},
	{codeChoice, "choice", "Each {name} in a statement stands for one of the texts of the choice with that name, and each choice has a place. Values never go into the text: they are parameters."},

	{codeSameName, "name is taken", "Two documents of one kind have the same name."},
	{codeNoBackend, "unknown backend", "A grant or domain names a backend that is not in the set."},
	{codeNoPlugin, "unknown plugin", "A step, a call grant or callableBy names a plugin that is not in the set."},
	{codeNoReference, "unknown reference", "A reference names neither a step nor a parameter of the route."},
	{codeSelf, "step refers to itself", "A step cannot use its own output as its input."},
	{codeCycle, "cycle", "Steps wait for each other in a circle, so that none could ever start."},
	{codeUnusedStep, "unused step", "The answer depends on the step neither directly nor through other steps, so that it would run for nothing. Refer to it or remove it."},
	{codeNoStep, "answer without a step", "The answer refers to no step, so that nothing would be fetched."},
	{codeDeadline, "deadline past the route's", "A step may not take longer than its route."},
	{codeCollision, "colliding routes", "Two routes have the same method and paths that match the same requests. A literal segment beside a parameter is fine: the literal wins."},
	{codePathParam, "path parameter", "The {parameters} of the path and the params with in: path must be the same."},
	{codePrivate, "private address not listed", "The URL's address is private, and private does not list it, so that every request would be refused. Add the prefix to private."},
	{codeSameAs, "backend name used twice", "Two http grants, or two sql grants, of a plugin have the same name for the plugin. Give one of them another with as."},
	{codeCeiling, "grant past the back end's ceiling", "The back end's methods or headers.request leave out what a plugin is granted, so that every such request would be refused. Narrow the grant, or widen the back end for everyone."},
	{codeNoDomain, "unknown domain", "A grant, parameter or route names a domain of pointers that is not in the set."},
	{codeNoStatement, "unknown statement", "A sql grant names a statement that its back end does not have."},
	{codeOtherSort, "back end of another sort", "An http grant needs a back end that is an HTTP origin, a sql grant one that is a database."},
	{codeNotCallable, "caller is not welcome", "A plugin may call another only if both say so: the caller's grant names the function, and the other's callableBy names the caller. Add the caller there, if it is meant."},
	{codeCallCycle, "plugins call each other", "Grants let plugins call each other in a circle. Each call takes a sandbox until it is answered, so that a circle could take all there are. Remove one of the grants."},
	{codeCallDepth, "calls too deep", "Plugins may call each other four deep, below the one that a route calls. Deeper chains are hard to follow and use up the deadline. Let the route call some of the plugins."},
	{codeOpenReach, "ids would go elsewhere", "A plugin that may open pointers of a domain can send their ids to every back end that it reaches, itself or through plugins that it calls. All of them must be among the domain's backends. Add the back end to the domain if ids are meant to go there, or take one of the grants away."},
	{codeNotShown, "pointer outside of the view", "Under pointers, a route names a path that its view and views do not let out. Perhaps one of them is misspelt, and the id itself would leave."},
	{codeNoIssuer, "unknown issuer", "A consumer's tokens are to come from an issuer that is not in the set."},
	{codeOneGateway, "more than one gateway", "A set has one Gateway at most: with two, each request would need the proof of both, or of either. Write the one that stands before the broker."},
	{codeSameIssuer, "issuer twice", "Two Issuers have the same issuer, so that it would be open whose audience and keys a token is checked with. Write one, with every audience."},
	{codeSameCaller, "one proof for two", "Every token, or the client certificate, of one consumer is another's too, or the gateway's. Whoever sends it would be two, and is refused. Give each claims, or a name, of its own."},
	{codeIdleBackend, "backend is not used", "No plugin is granted the backend."},
	{codeIdlePlugin, "plugin is not used", "Neither a route nor a call grant of another plugin names the plugin."},
	{codeUselessScope, "scope opens nothing", "The consumer has a scope that no route asks for; perhaps it is misspelt."},
	{codeIdleDomain, "domain is not used", "No parameter, route or grant has pointers of the domain."},
	{codeNoLabel, "unknown label", "Something is cleared of a label that no back end, statement or parameter has; perhaps it is misspelt."},
	{codeNoFurther, "view that shows nothing further", "Under views, a route names a scope that it asks of every consumer, or only paths that its view shows everybody."},
	{codeIdleIssuer, "issuer is not used", "No consumer's tokens come from the issuer."},
	{codeTwoCallers, "tokens that could be two consumers'", "Two consumers look at different claims of tokens of one issuer, so that a token could have both. Such a token is refused. Let both look at the same claim, such as azp."},
}
