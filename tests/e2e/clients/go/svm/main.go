// Go x402 on Solana, the second protocol. It looks at the chain through X402_RPC.
package main

import (
	"crypto/ed25519"
	"encoding/hex"
	"os"

	"github.com/gagliardetto/solana-go"
	x402 "github.com/x402-foundation/x402/go"
	"github.com/x402-foundation/x402/go/mechanisms/svm"
	exact "github.com/x402-foundation/x402/go/mechanisms/svm/exact/client"
	signers "github.com/x402-foundation/x402/go/signers/svm"
	"tollgate/tests/clients/driver"
)

func main() {
	driver.Main("go-svm", func(client *x402.X402Client) error {
		seed, err := hex.DecodeString(driver.Seed())
		if err != nil {
			return err
		}
		key := solana.PrivateKey(ed25519.NewKeyFromSeed(seed))
		signer, err := signers.NewClientSignerFromPrivateKey(key.String())
		if err != nil {
			return err
		}
		chain := &svm.ClientConfig{RPCURL: os.Getenv("X402_RPC")}
		client.Register("solana:*", exact.NewExactSvmScheme(signer, chain))
		return nil
	})
}
