const encoder = new TextEncoder();

/** Compares a secret in constant time. Both sides are hashed first, so that not even their lengths show; an unset secret equals nothing. */
export async function secretEquals(given: string, secret: string | undefined): Promise<boolean> {
  if (secret === undefined || secret === "") {
    return false;
  }
  const [a, b] = await Promise.all([
    crypto.subtle.digest("SHA-256", encoder.encode(given)),
    crypto.subtle.digest("SHA-256", encoder.encode(secret)),
  ]);
  return crypto.subtle.timingSafeEqual(a, b);
}
