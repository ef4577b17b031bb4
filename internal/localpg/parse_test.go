package localpg

import "testing"

func TestParsePostmaster(t *testing.T) {
	t.Parallel()
	const whole = "4711\n/data\n1700000000\n54321\n/run/pg\n127.0.0.1\n  1 2\nready   \n"
	got, ok := parsePostmaster([]byte(whole))
	if !ok || got != (postmaster{pid: 4711, port: 54321, socket: "/run/pg"}) {
		t.Errorf("read %+v, %v", got, ok)
	}
	for name, raw := range map[string]string{
		"empty": "", "still starting": "4711\n/data\n1700000000\n", "no pid": "x\n/d\n1\n5432\n/run\n", "init": "1\n/d\n1\n5432\n/run\n", "no port": "9\n/d\n1\n70000\n/run\n",
	} {
		if got, ok := parsePostmaster([]byte(raw)); ok {
			t.Errorf("%s: read %+v", name, got)
		}
	}
}

func FuzzParsePostmaster(f *testing.F) {
	f.Add([]byte("4711\n/data\n1700000000\n54321\n/run/pg\n"))
	f.Add([]byte("-5\n\n\n99999\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if p, ok := parsePostmaster(raw); ok && (p.pid <= 1 || p.port < 1 || p.port > 65535) {
			t.Errorf("read %+v", p)
		}
	})
}

func FuzzParseLinks(f *testing.F) {
	f.Add([]byte(`[{"source":"native/lib/a.so.1","target":"native/lib/a.so"}]`))
	f.Add([]byte(`[{"source":"native/../../etc/passwd","target":"/etc/x"}]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		links, err := parseLinks(raw)
		for _, l := range links {
			if err == nil && (l.Source == "" || l.Target[0] == '/') {
				t.Errorf("accepted %+v", l)
			}
		}
	})
}
