/*
 * The static tokens of --token-auth-file, for plane/authn.c. Reads one file at start; then pure.
 */
#pragma once

#include "plane/authn.h"

struct authn_tokens; /* opaque */

/** As authn_new_blocking() says of the file. The caller owns *ret. */
MUST_CHECK struct error *authn_tokens_read_blocking(const char *path, struct authn_tokens **ret);
/** The same from @text; @path names it in errors. */
MUST_CHECK struct error *authn_tokens_parse(struct str text, const char *path,
                                            struct authn_tokens **ret);
void authn_tokens_free(struct authn_tokens *tokens); /* NULL is fine */
DEFINE_AUTO(authn_tokens, struct authn_tokens *, authn_tokens_free)

/** The user whose token @token is, borrowed from @tokens, or NULL. How long it takes does not
 * depend on how much of a token was right. */
const struct plane_user *authn_tokens_find(const struct authn_tokens *tokens, struct str token);
