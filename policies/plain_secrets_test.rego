package cognomega.policy.plain_secrets_test

import data.cognomega.policy.plain_secrets
import rego.v1

script(binding) := {"__type": "cognomega:index:WorkerScript", "__name": "auth-svc", "__properties": {"bindings": [binding]}}

plain(name, text) := script({"name": name, "type": "plain_text", "text": text})

names(s) := n if n := count(plain_secrets.deny_secret_name) with input as s

values(s) := n if n := count(plain_secrets.deny_secret_value) with input as s

unknowns(s) := n if n := count(plain_secrets.deny_unknown_value) with input as s

test_allow_secret_name_vars if {
	every name in ["ISSUER", "ALLOWED_ORIGINS", "TURNSTILE_VERIFY_URL", "KID", "JWT_TTL_SEC", "CREDIT_PER_1K"] {
		names(plain(name, "x")) == 0
	}
}

test_allow_secret_name_other_types if names(script({"name": "API_KEY", "type": "kv_namespace", "namespaceId": "x"})) == 0

test_deny_secret_name if {
	every name in ["ADMIN_API_KEY", "PRIVATE_KEY_PEM", "TURNSTILE_SECRET", "db_password", "GROQ_API_KEY", "DATABASE_URL"] {
		names(plain(name, "x")) == 1
	}
}

test_deny_secret_name_json if names(script({"name": "SERVICE_TOKEN", "type": "json", "json": "{}"})) == 1

test_allow_secret_value_text if {
	every text in ["https://api.example.test", "https://a.example.test,https://b.example.test", "3600", "llama-3.1-8b-instant"] {
		values(plain("X", text)) == 0
	}
}

test_deny_secret_value if {
	every text in [
		"[secret]",
		"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
		"postgres://app:hunter2@db.example.test/app",
		"sk-0123456789abcdef0123",
		"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.AAAA",
		"0123456789abcdef0123456789abcdef01234567",
	] {
		values(plain("X", text)) == 1
	}
}

test_allow_unknown_value if unknowns(plain("X", "x")) == 0

test_deny_unknown_value if unknowns(plain("X", "04da6b54-80e4-46f7-96ec-b56ff0331ba9")) == 1

test_deny_unknown_value_absent if unknowns(script({"name": "X", "type": "plain_text"})) == 1
