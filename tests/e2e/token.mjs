// Verifies one token of a hosted facilitator's request with a published library, and prints it.
//   usage: token.mjs TOKEN SUBJECT JWK-OR-PEM
import { createPublicKey } from 'node:crypto';
import { jwtVerify } from 'jose';

const [token, subject, text] = process.argv.slice(2);
const key = text.startsWith('{')
  ? createPublicKey({ key: JSON.parse(text), format: 'jwk' })
  : createPublicKey(text);
const { payload, protectedHeader } = await jwtVerify(token, key, {
  algorithms: ['EdDSA', 'ES256'],
  issuer: 'cdp',
  subject,
  maxTokenAge: 120,
  requiredClaims: ['sub', 'iss', 'nbf', 'exp', 'uris'],
});
console.log(JSON.stringify({ payload, protectedHeader }));
