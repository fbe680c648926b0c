/*
 * Projected volumes: several sources in one directory, so their paths must not meet.
 */
#include "kube/validate_internal.h"

#include <inttypes.h>

#define TOKEN_MIN_SECONDS 600
#define TOKEN_MAX_SECONDS (INT64_C(1) << 32)
/* certificates: MaxMaxExpirationSeconds 91 days; 24 hours for signers of kubernetes.io. */
#define CERTIFICATE_MIN_SECONDS 3600
#define CERTIFICATE_MAX_SECONDS (91 * 24 * 3600)
#define CERTIFICATE_KUBERNETES_MAX_SECONDS (24 * 3600)

/* One source: where it lies, and the paths of the whole volume. */
struct projection {
    const struct field_path *volume; /* spec.volumes[i].projected */
    const struct field_path *source; /* …sources[j] */
    struct text_map *paths;
};

static void claim_path(struct validation *v, const struct projection *at, const char *path,
                       const char *shown)
{
    if (!is_empty(path) && !text_map_add(at->paths, path, 0))
        field_invalid(v, at->volume, shown, "conflicting duplicate paths");
}

static void validate_object(struct validation *v, const struct projection *at, const char *kind,
                            const char *name, Core__KeyToPath *const *items, size_t count)
{
    const struct field_path *field = FIELD(at->source, kind);
    field_check_present(v, FIELD(field, "name"), name);
    for (size_t i = 0; i < count; i++) {
        validate_key_to_path(v, items[i], FIELD_AT(FIELD(field, "items"), i));
        claim_path(v, at, items[i]->path, name);
    }
}

static void validate_downward(struct validation *v, const struct projection *at,
                              const Core__DownwardAPIProjection *downward)
{
    for (size_t i = 0; i < downward->n_items; i++) {
        validate_downward_file(v, downward->items[i], FIELD(at->source, "downwardAPI"));
        claim_path(v, at, downward->items[i]->path, downward->items[i]->path);
    }
}

static void validate_token(struct validation *v, const struct projection *at,
                           const Core__ServiceAccountTokenProjection *token)
{
    const struct field_path *expiration =
        FIELD(FIELD(at->source, "serviceAccountToken"), "expirationSeconds");
    if (token->expiration_seconds < TOKEN_MIN_SECONDS)
        field_invalid_number(v, expiration, token->expiration_seconds,
                             "may not specify a duration less than 10 minutes");
    if (token->expiration_seconds > TOKEN_MAX_SECONDS)
        field_invalid_number(v, expiration, token->expiration_seconds,
                             "may not specify a duration larger than 2^32 seconds");
    if (is_empty(token->path))
        field_required(v, FIELD(at->volume, "path"), NULL);
    else
        field_check_local_path(v, FIELD(at->volume, "path"), token->path);
}

static void validate_trust_bundle(struct validation *v, const struct projection *at,
                                  const Core__ClusterTrustBundleProjection *bundle)
{
    const struct field_path *field = FIELD(at->source, "clusterTrustBundle");
    if (bundle->name && bundle->signer_name)
        field_invalid_message(v, field, &bundle->base,
                              "only one of name and signerName may be used");
    else if (!bundle->name && !bundle->signer_name)
        field_required(v, field, "either name or signerName must be specified");
    if (bundle->name && !*bundle->name)
        field_required(v, FIELD(field, "name"), "must be a valid object name");
    if (bundle->name && !bundle->signer_name && bundle->label_selector)
        field_invalid_message(v, FIELD(field, "labelSelector"), &bundle->label_selector->base,
                              "labelSelector must be unset if name is specified");
    if (bundle->signer_name && !*bundle->signer_name)
        field_required(v, FIELD(field, "signerName"), "must be a valid signer name");
    field_check_present(v, FIELD(field, "path"), bundle->path);
    field_check_local_path(v, FIELD(field, "path"), bundle->path);
    claim_path(v, at, bundle->path, bundle->path);
}

static bool is_kubernetes_signer(const char *signer)
{
    struct str text = str_from(or_empty(signer));
    struct str host = {.ptr = text.ptr, .len = str_find(text, '/')};
    return str_eq_c(host, "kubernetes.io") || str_has_suffix(host, ".kubernetes.io");
}

static void check_certificate_lifetime(struct validation *v,
                                       const Core__PodCertificateProjection *certificate,
                                       const struct field_path *path)
{
    if (!certificate->has_max_expiration_seconds)
        return;
    int32_t seconds = certificate->max_expiration_seconds;
    int32_t longest = is_kubernetes_signer(certificate->signer_name)
                          ? CERTIFICATE_KUBERNETES_MAX_SECONDS
                          : CERTIFICATE_MAX_SECONDS;
    if (seconds < CERTIFICATE_MIN_SECONDS)
        field_invalid_number(v, path, seconds, "if provided, maxExpirationSeconds must be >= 3600");
    if (seconds > longest)
        field_invalid_number(v, path, seconds,
                             arena_printf(v->scratch,
                                          "if provided, maxExpirationSeconds must be <= %" PRId32,
                                          longest));
}

static void validate_certificate(struct validation *v, const struct projection *at,
                                 const Core__PodCertificateProjection *certificate)
{
    static const char *const key_types[] = {"RSA3072",   "RSA4096", "ECDSAP256", "ECDSAP384",
                                            "ECDSAP521", "ED25519", NULL};
    const struct field_path *field = FIELD(at->source, "podCertificate");
    if (!is_one_of(certificate->key_type, key_types))
        field_not_supported(v, FIELD(field, "keyType"), certificate->key_type, key_types);
    check_certificate_lifetime(v, certificate, FIELD(field, "maxExpirationSeconds"));
    const struct {
        const char *name, *path;
    } paths[] = {{"credentialBundlePath", certificate->credential_bundle_path},
                 {"keyPath", certificate->key_path},
                 {"certificateChainPath", certificate->certificate_chain_path}};
    bool any = false;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        if (is_empty(paths[i].path))
            continue;
        any = true;
        field_check_local_path(v, FIELD(field, paths[i].name), paths[i].path);
        claim_path(v, at, paths[i].path, paths[i].path);
    }
    if (!any)
        field_required(
            v, field,
            "specify at least one of credentialBundlePath, keyPath, and certificateChainPath");
}

static void validate_projection(struct validation *v, const Core__VolumeProjection *source,
                                const struct projection *at)
{
    unsigned kinds = 0;
    if (source->secret) {
        kinds++;
        validate_object(v, at, "secret", reference_name(source->secret->local_object_reference),
                        source->secret->items, source->secret->n_items);
    }
    if (source->config_map) {
        kinds++;
        validate_object(v, at, "configMap",
                        reference_name(source->config_map->local_object_reference),
                        source->config_map->items, source->config_map->n_items);
    }
    if (source->downward_api) {
        kinds++;
        validate_downward(v, at, source->downward_api);
    }
    if (source->service_account_token) {
        kinds++;
        validate_token(v, at, source->service_account_token);
    }
    if (source->cluster_trust_bundle) {
        kinds++;
        validate_trust_bundle(v, at, source->cluster_trust_bundle);
    }
    if (source->pod_certificate) {
        kinds++;
        validate_certificate(v, at, source->pod_certificate);
    }
    if (kinds > 1)
        field_forbidden(v, at->source, "may not specify more than 1 volume type per source");
}

void validate_projected(struct validation *v, const Core__ProjectedVolumeSource *source,
                        const struct field_path *path)
{
    field_check_mode(v, FIELD(path, "defaultMode"), source->has_default_mode, source->default_mode);
    struct text_map paths = {.arena = v->scratch};
    for (size_t i = 0; i < source->n_sources; i++) {
        const struct projection at = {
            .volume = path, .source = FIELD_AT(FIELD(path, "sources"), i), .paths = &paths};
        validate_projection(v, source->sources[i], &at);
    }
}
