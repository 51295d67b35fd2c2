// Package auth stands for a fork that is on no module proxy: passwords are asked for by no route of ours, so it lets
// nobody in.
package auth

import "net/http"

type SecretProvider func(user, realm string) string

type BasicAuth struct {
	Realm   string
	Secrets SecretProvider
}

func CheckSecret(password, secret string) bool { return false }

func (*BasicAuth) RequireAuth(w http.ResponseWriter, r *http.Request) { refuse(w) }

type DigestAuth struct{}

func NewDigestAuthenticator(realm string, secrets SecretProvider) *DigestAuth { return &DigestAuth{} }

func DigestAuthParams(authorization string) map[string]string { return nil }

func (*DigestAuth) CheckAuth(r *http.Request) (string, *string) { return "", nil }

func (*DigestAuth) RequireAuth(w http.ResponseWriter, r *http.Request) { refuse(w) }

func (*DigestAuth) RequireAuthStale(w http.ResponseWriter, r *http.Request) { refuse(w) }

func refuse(w http.ResponseWriter) { http.Error(w, "unauthorized", http.StatusUnauthorized) }
