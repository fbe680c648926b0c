/* The rules about `logging` and `tracing`, in field-path style; part of rules_check(). */
#include "config/rules.h"

#include "base/time.h"
#include "config/field.h"
#include "kube/quantity.h"

#define VERBOSITY_MAX INT32_MAX
#define SAMPLING_RATE_MAX 1000000

static void check_output(const struct rules_subject *subject,
                         const Kubeletconfig__LoggingOutputOptions *output, const char *format,
                         struct rules_findings *findings)
{
    if (!output || gate_is_enabled(subject->gates, GATE_LoggingAlphaOptions))
        return;
    if (output->split_stream)
        rules_add(findings,
                  "logging.options.%s.splitStream: Forbidden: Feature LoggingAlphaOptions is "
                  "disabled",
                  format);
    if (output->info_buffer_size && !quantity_is_zero(output->info_buffer_size))
        rules_add(findings,
                  "logging.options.%s.infoBufferSize: Forbidden: Feature LoggingAlphaOptions is "
                  "disabled",
                  format);
}

static void check_vmodule(const Kubeletconfig__LoggingConfiguration *logging,
                          struct rules_findings *findings)
{
    if (logging->n_vmodule > 0 && !text_eq(logging->format, "text"))
        rules_add(findings, "logging.vmodule: Forbidden: Only supported for text log format");
    for (size_t i = 0; i < logging->n_vmodule; i++) {
        const char *pattern = logging->vmodule[i]->file_pattern;
        if (!pattern || !pattern[0])
            rules_add(findings, "logging.vmodule[%zu].filePattern: Required value", i);
        else if (strpbrk(pattern, "=,"))
            rules_add(findings,
                      "logging.vmodule[%zu].filePattern: Invalid value: \"%s\": File pattern must "
                      "not contain equal sign or comma",
                      i, pattern);
        if (logging->vmodule[i]->verbosity < 0 || logging->vmodule[i]->verbosity > VERBOSITY_MAX)
            rules_add(findings,
                      "logging.vmodule[%zu].verbosity: Invalid value: %lld: Must be between 0 and "
                      "%d",
                      i, (long long)logging->vmodule[i]->verbosity, VERBOSITY_MAX);
    }
}

static void check_tracing(const Kubeletconfig__TracingConfiguration *tracing,
                          struct rules_findings *findings)
{
    static const char *const schemes[] = {"none", "dns", "unix", "unix-abstract"};
    if (!tracing)
        return;
    int rate = tracing->sampling_rate_per_million;
    if (tracing->has_sampling_rate_per_million && rate < 0)
        rules_add(findings,
                  "tracing.samplingRatePerMillion: Invalid value: %d: sampling rate must be "
                  "positive",
                  rate);
    if (rate > SAMPLING_RATE_MAX)
        rules_add(findings,
                  "tracing.samplingRatePerMillion: Invalid value: %d: sampling rate per million "
                  "must be less than or equal to one million",
                  rate);
    const char *separator = tracing->endpoint ? strstr(tracing->endpoint, "://") : NULL;
    if (!separator)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
        struct str scheme = {.ptr = tracing->endpoint,
                             .len = (size_t)(separator - tracing->endpoint)};
        if (str_eq_c(scheme, schemes[i]))
            return;
    }
    rules_add(findings,
              "tracing.endpoint: Invalid value: \"%s\": unsupported scheme; use none, dns, unix or "
              "unix-abstract",
              tracing->endpoint);
}

void rules_logging(const struct rules_subject *subject, struct rules_findings *findings)
{
    Kubeletconfig__LoggingConfiguration *logging = subject->options->config->logging;
    if (!text_eq(logging->format, "text") && !text_eq(logging->format, "json"))
        rules_add(findings, "logging.format: Invalid value: \"%s\": Unsupported log format",
                  logging->format);
    else if (text_eq(logging->format, "json") &&
             !gate_is_enabled(subject->gates, GATE_LoggingBetaOptions))
        rules_add(findings, "logging.format: Forbidden: Log format json is BETA and disabled, see "
                            "LoggingBetaOptions feature");
    struct field flush = field_of(&logging->base, "flush_frequency");
    char text[TIME_TEXT_SIZE];
    if (field_duration(&flush) <= 0)
        rules_add(findings, "logging.flushFrequency: Invalid value: %s: Must be greater than zero",
                  time_format_duration(field_duration(&flush), text));
    if (logging->verbosity < 0 || logging->verbosity > VERBOSITY_MAX)
        rules_add(findings, "logging.verbosity: Invalid value: %lld: Must be between 0 and %d",
                  (long long)logging->verbosity, VERBOSITY_MAX);
    check_vmodule(logging, findings);
    if (logging->options) {
        check_output(subject, logging->options->text, "text", findings);
        check_output(subject, logging->options->json, "json", findings);
    }
    check_tracing(subject->options->config->tracing, findings);
}
