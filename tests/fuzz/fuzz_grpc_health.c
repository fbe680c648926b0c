/*
 * The message of a health check's answer, as it comes out of its gRPC frame (fuzz_grpc.c has that):
 * whatever it says, it is one verdict, and only SERVING is none.
 */
#include "probe/grpc_check.h"

#include "health.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Health__HealthCheckResponse *reply = health__health_check_response__unpack(NULL, size, data);
    if (!reply)
        return 0;
    AUTO(free) char *verdict = grpc_check_judge(&reply->base);
    ASSERT((verdict == NULL) == (reply->status == HEALTH__SERVING_STATUS__SERVING));
    ASSERT(!verdict || (text_has_prefix(verdict, "service unhealthy (responded with \"") &&
                        text_has_suffix(verdict, "\")")));
    health__health_check_response__free_unpacked(reply, NULL);
    return 0;
}
