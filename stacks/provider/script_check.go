package provider

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

var (
	accountForm    = regexp.MustCompile(`^[0-9a-f]{32}$`)
	scriptForm     = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)
	identifierForm = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*$`)
	dateForm       = regexp.MustCompile(`^20\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$`)
	secretName     = regexp.MustCompile(`(?i)(secret|passw(or)?d|private_?key|api_?key|admin_?key|access_?key|credential|_pem$|(^|_)token$|database_url|connection_string)`)
)

// Check validates the inputs, and completes them: the account from the provider's configuration, digests from the files.
func (WorkerScript) Check(ctx context.Context, req infer.CheckRequest) (infer.CheckResponse[WorkerScriptArgs], error) {
	args, failures, err := infer.DefaultCheck[WorkerScriptArgs](ctx, req.NewInputs)
	if err != nil || len(failures) > 0 {
		return infer.CheckResponse[WorkerScriptArgs]{Inputs: args, Failures: failures}, err
	}
	c := &checker{inputs: req.NewInputs}
	c.account(ctx, &args.AccountID)
	c.match("name", args.Name, scriptForm, "must be 1 to 63 of a-z, 0-9, - and _, not starting or ending with -")
	c.match("compatibilityDate", args.CompatibilityDate, dateForm, "must be a date, as in 2026-11-17")
	c.modules(&args)
	c.bindings(args)
	c.secrets(args)
	c.objects(args)
	c.settings(args)
	return infer.CheckResponse[WorkerScriptArgs]{Inputs: args, Failures: c.failures}, nil
}

// checker gathers what is wrong with a resource's inputs. What is not known yet is not judged.
type checker struct {
	inputs   property.Map
	failures []p.CheckFailure
}

func (c *checker) fail(path, format string, args ...any) {
	c.failures = append(c.failures, p.CheckFailure{Property: path, Reason: fmt.Sprintf(format, args...)})
}

// at is the input at a path of map keys (string) and list places (int).
func (c *checker) at(path ...any) property.Value {
	v := property.New(c.inputs)
	for _, step := range path {
		switch step := step.(type) {
		case string:
			if !v.IsMap() {
				return v
			}
			v = v.AsMap().Get(step)
		case int:
			if !v.IsArray() || step >= v.AsArray().Len() {
				return v
			}
			v = v.AsArray().Get(step)
		}
	}
	return v
}

// unknown is true for a value that another resource will give, and for one inside such a value.
func (c *checker) unknown(path ...any) bool { return c.at(path...).IsComputed() }

func (c *checker) account(ctx context.Context, account *string) {
	if *account == "" && !c.unknown("accountId") {
		*account = infer.GetConfig[*Config](ctx).account()
	}
	switch {
	case c.unknown("accountId"):
	case *account == "":
		c.fail("accountId", "no account: set accountId here or on the provider, or CLOUDFLARE_ACCOUNT_ID")
	case !accountForm.MatchString(*account):
		c.fail("accountId", "%q is not an account id (32 hex digits)", *account)
	}
}

func (c *checker) match(path, value string, form *regexp.Regexp, reason string) {
	if !c.unknown(path) && !form.MatchString(value) {
		c.fail(path, "%q %s", value, reason)
	}
}

func (c *checker) modules(args *WorkerScriptArgs) {
	if c.unknown("modules") {
		return
	}
	if _, exists := args.Modules[args.MainModule]; !exists && !c.unknown("mainModule") {
		c.fail("mainModule", "%q is not in modules (%s)", args.MainModule, strings.Join(sortedKeys(args.Modules), ", "))
	}
	for _, name := range sortedKeys(args.Modules) {
		if c.unknown("modules", name) || c.unknown("modules", name, "path") || c.unknown("modules", name, "content") {
			continue
		}
		args.Modules[name] = c.module(name, args.Modules[name])
	}
}

// module returns m with its digest.
func (c *checker) module(name string, m Module) Module {
	at := key("modules", name)
	m.Digest = nil
	switch {
	case (m.Path == nil) == (m.Content == nil):
		c.fail(at, "wants either path or content")
		return m
	case m.Content != nil && len(*m.Content) > inlineLimit:
		c.fail(at+".content", "is %d bytes; above %d give a path, so that the state does not carry it", len(*m.Content), inlineLimit)
	}
	if moduleType(name, m) == "" {
		c.fail(at+".type", "cannot be told from the name; set it (known extensions: %s)", strings.Join(sortedKeys(moduleTypes), " "))
	}
	content, err := m.read()
	if err != nil {
		c.fail(at+".path", "%v", err)
		return m
	}
	m.Digest = some(digest(content))
	return m
}

func (c *checker) bindings(args WorkerScriptArgs) {
	first := map[string]int{}
	for i := range args.Bindings {
		b := &args.Bindings[i]
		at := "bindings[" + strconv.Itoa(i) + "]"
		if c.unknown("bindings") || c.unknown("bindings", i) {
			continue
		}
		if !identifierForm.MatchString(b.Name) {
			c.fail(at+".name", "%q is not an identifier, so env.%s would not work", b.Name, b.Name)
		}
		if earlier, twice := first[b.Name]; twice {
			c.fail(at+".name", "%q is bound by bindings[%d] already", b.Name, earlier)
		}
		first[b.Name] = i
		if _, twice := args.Secrets[b.Name]; twice {
			c.fail(at+".name", "%q is a secret as well; a name is bound once", b.Name)
		}
		c.binding(at, i, b, args)
	}
}

func (c *checker) binding(at string, i int, b *Binding, args WorkerScriptArgs) {
	if b.Type == typeSecret {
		c.fail(at+".type", "give secrets in secrets, which keeps their values out of plain sight")
		return
	}
	rule, known := bindingTypes[b.Type]
	if !known {
		c.fail(at+".type", "%q is not a binding type we know (%s)", b.Type, strings.Join(sortedKeys(bindingTypes), ", "))
		return
	}
	for _, field := range rule.wanted {
		if !b.has(field) || b.blank(field) && !c.unknown("bindings", i, field) {
			c.fail(at+"."+field, "is missing: a %s binding needs it", b.Type)
		}
	}
	for _, field := range fieldNames() {
		if b.has(field) && !slices.Contains(rule.wanted, field) && !slices.Contains(rule.allowed, field) {
			c.fail(at+"."+field, "means nothing to a %s binding", b.Type)
		}
	}
	c.bindingValue(at, i, b, args)
}

func (c *checker) bindingValue(at string, i int, b *Binding, args WorkerScriptArgs) {
	switch b.Type {
	case "plain_text":
		c.plainText(at, i, b, args)
	case "json":
		if compact := compactJSON(text(b.JSON)); b.JSON != nil && !c.unknown("bindings", i, "json") && !validJSON(compact) {
			c.fail(at+".json", "is not JSON")
		}
	case "ratelimit":
		if b.Period != nil && !c.unknown("bindings", i, "period") && *b.Period != 10 && *b.Period != 60 {
			c.fail(at+".period", "must be 10 or 60 seconds, is %d", *b.Period)
		}
	case typeObject:
		own := b.ScriptName == nil || text(b.ScriptName) == args.Name
		if own && !c.unknown("bindings", i, "scriptName") && !c.unknown("durableObjects") && !declares(args, text(b.ClassName)) {
			c.fail(at+".className", "%q is not in durableObjects; declare it there, or name the script that has it in scriptName", text(b.ClassName))
		}
	}
}

// plainText looks for secrets that would be stored and shown in clear.
func (c *checker) plainText(at string, i int, b *Binding, args WorkerScriptArgs) {
	if c.at("bindings", i, "text").Secret() {
		c.fail(at+".text", "is a secret value in a plain_text binding; put it in secrets")
		return
	}
	if secretName.MatchString(b.Name) && text(b.Text) != "" {
		c.fail(at+".name", "%q sounds like a secret, and plain_text is readable by everyone with access; put it in secrets, or rename it", b.Name)
	}
	for _, name := range sortedKeys(args.Secrets) {
		if len(args.Secrets[name]) >= 8 && args.Secrets[name] == text(b.Text) {
			c.fail(at+".text", "is the value of the secret %s", name)
		}
	}
}

func (c *checker) secrets(args WorkerScriptArgs) {
	for _, name := range sortedKeys(args.Secrets) {
		if !identifierForm.MatchString(name) {
			c.fail(key("secrets", name), "%q is not an identifier, so env.%s would not work", name, name)
		}
		if args.Secrets[name] == "" && !c.unknown("secrets") && !c.unknown("secrets", name) {
			c.fail(key("secrets", name), "is empty")
		}
	}
}

func (c *checker) objects(args WorkerScriptArgs) {
	seen := map[string]bool{}
	for i, o := range args.DurableObjects {
		at := "durableObjects[" + strconv.Itoa(i) + "]"
		if !identifierForm.MatchString(o.Class) && !c.unknown("durableObjects", i, "class") {
			c.fail(at+".class", "%q is not a class name", o.Class)
		}
		if seen[o.Class] {
			c.fail(at+".class", "%q is declared twice", o.Class)
		}
		seen[o.Class] = true
		if text(o.RenamedFrom) == o.Class {
			c.fail(at+".renamedFrom", "is the class itself")
		}
		if slices.Contains(args.DeletedClasses, o.Class) {
			c.fail(at+".class", "%q is in deletedClasses as well", o.Class)
		}
	}
}

func (c *checker) settings(args WorkerScriptArgs) {
	if o := args.Observability; o != nil && o.HeadSamplingRate != nil && (*o.HeadSamplingRate < 0 || *o.HeadSamplingRate > 1) {
		c.fail("observability.headSamplingRate", "must be between 0 and 1, is %g", *o.HeadSamplingRate)
	}
	if mode := text(args.Placement); mode != "" && mode != "smart" {
		c.fail("placement", `must be "smart" or absent, is %q`, mode)
	}
	if args.CPUMS != nil && (*args.CPUMS < 0 || *args.CPUMS > 300_000) {
		c.fail("cpuMs", "must be between 1 and 300000, is %d", *args.CPUMS)
	}
}

func declares(args WorkerScriptArgs, class string) bool {
	return slices.ContainsFunc(args.DurableObjects, func(o DurableObject) bool { return o.Class == class })
}
