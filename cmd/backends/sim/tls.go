package sim

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"
)

// CA is a certificate authority made on the spot. Its key exists in this process's memory only.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// caLife is how long an authority and its certificates are valid: longer than any test or demo runs.
const caLife = 30 * 24 * time.Hour

// NewCA makes an authority.
func NewCA() (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make CA key: %w", err)
	}
	template := certificate("Pointsman simulator CA")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make CA certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read CA certificate: %w", err)
	}
	return &CA{cert, key}, nil
}

// PEM returns the authority's certificate, for files that clients trust.
func (ca *CA) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})
}

// Pool returns a pool that trusts the authority only.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

// Leaf makes a server certificate for localhost, 127.0.0.1, ::1 and the given names or addresses.
func (ca *CA) Leaf(names ...string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make server key: %w", err)
	}
	template := certificate("Pointsman simulator")
	template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, name := range append([]string{"localhost", "127.0.0.1", "::1"}, names...) {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make server certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der, ca.cert.Raw}, PrivateKey: key}, nil
}

func certificate(name string) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		panic("sim: " + err.Error()) // crypto/rand does not fail on the systems Go supports
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(caLife), // an hour, for clocks that differ
	}
}

// Listener serves a handler until it is closed.
type Listener struct {
	server *http.Server
	addr   net.Addr
	done   sync.WaitGroup
	err    error // set before done
}

// Listen serves the handler over TLS with a certificate of the authority for localhost and the given names. The address
// is as for net.Listen; "127.0.0.1:0" takes a free port. The caller closes the listener.
func Listen(h http.Handler, ca *CA, addr string, names ...string) (*Listener, error) {
	cert, err := ca.Leaf(names...)
	if err != nil {
		return nil, err
	}
	return ListenWith(h, cert, addr)
}

// ListenWith is Listen with a certificate of the caller's.
//
// HTTP/1.1 only: a fault must hit one request and not all that share a connection, and net/http's HTTP/1.1 costs the
// least on a machine that also runs the program being measured.
func ListenWith(h http.Handler, cert tls.Certificate, addr string) (*Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{
		Handler:           h,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12},
		TLSNextProto:      map[string]func(*http.Server, *tls.Conn, http.Handler){},
		ReadHeaderTimeout: 10 * time.Second, // slow clients are not what is simulated
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	listener := &Listener{server: server, addr: l.Addr()}
	listener.done.Go(func() {
		if err := server.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
			listener.err = err
		}
	})
	return listener, nil
}

// Addr is the address listened on.
func (l *Listener) Addr() net.Addr { return l.addr }

// URL is the origin to call: https, the listener's own address (localhost when that is every address) and the port.
func (l *Listener) URL() string {
	host, port, err := net.SplitHostPort(l.addr.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "https://" + net.JoinHostPort(host, port)
}

// Wait returns when the listener no longer serves, with the reason unless it was closed.
func (l *Listener) Wait() error {
	l.done.Wait()
	return l.err
}

// Close drops every connection and waits for the listener to end. Handlers still running see their request cancelled.
func (l *Listener) Close() error {
	return errors.Join(l.server.Close(), l.Wait())
}

// reset ends the connection with a TCP reset, or as abruptly as the transport allows where it cannot be had.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	if t, ok := conn.(*net.TCPConn); ok {
		t.SetLinger(0) // discards what is unsent and makes close send RST
	}
	conn.Close()
}
