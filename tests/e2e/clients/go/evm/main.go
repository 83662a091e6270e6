// Go x402 on EVM chains, of both protocol versions: X402_VERSION names the one it speaks.
package main

import (
	x402 "github.com/x402-foundation/x402/go"
	exact "github.com/x402-foundation/x402/go/mechanisms/evm/exact/client"
	first "github.com/x402-foundation/x402/go/mechanisms/evm/exact/v1/client"
	signers "github.com/x402-foundation/x402/go/signers/evm"
	"tollgate/tests/clients/driver"
)

func main() {
	driver.Main("go-evm", func(client *x402.X402Client) error {
		signer, err := signers.NewClientSignerFromPrivateKey(driver.Seed())
		if err != nil {
			return err
		}
		if driver.IsFirst() {
			for _, network := range []x402.Network{"base", "base-sepolia", "polygon"} {
				client.RegisterV1(network, first.NewExactEvmSchemeV1(signer))
			}
		} else {
			client.Register("eip155:*", exact.NewExactEvmScheme(signer, nil))
		}
		return nil
	})
}
