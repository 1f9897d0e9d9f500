// A second, independent identity provider for the tests: the certified OpenID Connect library of ZITADEL with one person, who
// logs in with any password. Options in, one JSON line out when it listens, like the development identity provider.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
	"golang.org/x/text/language"
)

// The one person, and the password that the library's own login page wants.
var person = &storage.User{
	ID:                "zoe-zitadel",
	Username:          "zoe",
	Password:          "any",
	FirstName:         "Zoe",
	LastName:          "Zitadel",
	Email:             "zoe@example.com",
	EmailVerified:     true,
	PreferredLanguage: language.English,
}

type people struct{}

func (people) GetUserByID(id string) *storage.User {
	if id == person.ID {
		return person
	}
	return nil
}

func (people) GetUserByUsername(name string) *storage.User {
	if name == person.Username {
		return person
	}
	return nil
}

func (people) ExampleClientID() string { return "" }

// Adds the groups to every ID token, and lets the client return after a logout.
type store struct {
	*storage.Storage
	groups    []string
	loggedOut string
}

func (s *store) SetUserinfoFromRequest(ctx context.Context, info *oidc.UserInfo, token op.IDTokenRequest, scopes []string) error {
	if err := s.Storage.SetUserinfoFromScopes(ctx, info, token.GetSubject(), token.GetClientID(), scopes); err != nil {
		return err
	}
	if err := s.Storage.SetUserinfoFromRequest(ctx, info, token, scopes); err != nil {
		return err
	}
	info.AppendClaims("mcm-idp-groups", s.groups)
	return nil
}

func (s *store) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	known, err := s.Storage.GetClientByClientID(ctx, id)
	if err != nil {
		return nil, err
	}
	return &client{known, s.loggedOut}, nil
}

// Wants the claims of its scopes in the ID token.
type client struct {
	op.Client
	loggedOut string
}

func (c *client) IDTokenUserinfoClaimsAssertion() bool { return true }
func (c *client) PostLogoutRedirectURIs() []string     { return []string{c.loggedOut} }

func main() {
	host := flag.String("host", "127.0.0.1", "address to listen on, and host name in the issuer's address")
	cert := flag.String("cert", "", "certificate chain, PEM")
	key := flag.String("key", "", "private key, PEM")
	secret := flag.String("client-secret", "", "secret of the client mcm-web")
	origin := flag.String("client-origin", "", "origin of the client")
	group := flag.String("group", "admins", "group of the person")
	flag.Parse()

	listener, err := net.Listen("tcp", net.JoinHostPort(*host, "0"))
	if err != nil {
		fail(err)
	}
	issuer := "https://" + listener.Addr().String()
	storage.RegisterClients(storage.WebClient("mcm-web", *secret, *origin+"/oidc/callback"))
	provider := &store{storage.NewStorage(people{}), []string{*group}, *origin + "/ui/login/"}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	router := exampleop.SetupServer(issuer, provider, quiet, false)
	fmt.Printf("{\"issuer\":%q}\n", issuer)
	fail(http.ServeTLS(listener, router, *cert, *key))
}

func fail(err error) {
	fmt.Fprintf(os.Stderr, "second identity provider: %v\n", err)
	os.Exit(1)
}
