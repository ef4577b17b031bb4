package routes

import "testing"

func TestExpressionsOnAHost(t *testing.T) {
	t.Parallel()
	const host = "api.example.test"
	tests := map[string]truth{
		`true`:                                                                  always,
		`(http.host eq "api.example.test")`:                                     always,
		`http.host == "API.example.test"`:                                       always,
		`http.host eq "www.example.test"`:                                       never,
		`http.host ne "www.example.test"`:                                       always,
		`not http.host eq "www.example.test"`:                                   always,
		`http.host in {"a.test" "api.example.test"}`:                            always,
		`http.host in $hosts`:                                                   sometimes,
		`http.host contains "example"`:                                          always,
		`http.host wildcard "*.example.test"`:                                   always,
		`http.host wildcard r"*.other.test"`:                                    never,
		`http.host matches "^api"`:                                              sometimes,
		`lower(http.host) eq "www.example.test"`:                                never,
		`ends_with(http.host, ".example.test")`:                                 always,
		`starts_with(http.request.uri.path, "/old")`:                            sometimes,
		`http.host eq "www.example.test" and http.request.uri.path eq "/"`:      never,
		`http.host eq "api.example.test" && not ssl`:                            sometimes,
		`http.host eq "www.example.test" or http.request.uri.path contains "x"`: sometimes,
		`http.request.full_uri wildcard "https://api.example.test/*"`:           sometimes,
		`http.request.full_uri wildcard r"http*://www.example.test/*"`:          never,
		`http.request.full_uri wildcard "https://*.other.test/*"`:               sometimes, // https://api.example.test/x.other.test/
		`http.request.full_uri in $bulk`:                                        sometimes,
		`(ip.src.country in {"NL" "BE"} and http.host eq "shop.example.test")`:  never,
		`http.host eq`:       unreadable,
		``:                   unreadable,
		`((http.host eq "a"`: unreadable,
		`"x" eq http.host`:   unreadable,
	}
	for text, want := range tests {
		if got := expression(text).on(host); got != want {
			t.Errorf("%s is %d, want %d", text, got, want)
		}
	}
}

func FuzzExpression(f *testing.F) {
	for _, text := range []string{`http.host eq "a"`, `not (a or b) and c in {1 2}`, `f(g(h), "x") eq "y\""`, `r"x`, `((((`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got := expression(text).on("api.example.test"); got < never || got > unreadable {
			t.Errorf("%q is %d", text, got)
		}
	})
}
