#include "pod/stop_signal.h"

#include "base/str.h"

/* The real-time signals count up from SIGRTMIN to 15 and down from SIGRTMAX to 14, as glibc does;
 * all others have the same name in both worlds. */
static const struct {
    Cri__Signal signal;
    const char *name;
} real_time[] = {
    {CRI__SIGNAL__SIGRTMINPLUS1, "SIGRTMIN+1"},    {CRI__SIGNAL__SIGRTMINPLUS2, "SIGRTMIN+2"},
    {CRI__SIGNAL__SIGRTMINPLUS3, "SIGRTMIN+3"},    {CRI__SIGNAL__SIGRTMINPLUS4, "SIGRTMIN+4"},
    {CRI__SIGNAL__SIGRTMINPLUS5, "SIGRTMIN+5"},    {CRI__SIGNAL__SIGRTMINPLUS6, "SIGRTMIN+6"},
    {CRI__SIGNAL__SIGRTMINPLUS7, "SIGRTMIN+7"},    {CRI__SIGNAL__SIGRTMINPLUS8, "SIGRTMIN+8"},
    {CRI__SIGNAL__SIGRTMINPLUS9, "SIGRTMIN+9"},    {CRI__SIGNAL__SIGRTMINPLUS10, "SIGRTMIN+10"},
    {CRI__SIGNAL__SIGRTMINPLUS11, "SIGRTMIN+11"},  {CRI__SIGNAL__SIGRTMINPLUS12, "SIGRTMIN+12"},
    {CRI__SIGNAL__SIGRTMINPLUS13, "SIGRTMIN+13"},  {CRI__SIGNAL__SIGRTMINPLUS14, "SIGRTMIN+14"},
    {CRI__SIGNAL__SIGRTMINPLUS15, "SIGRTMIN+15"},  {CRI__SIGNAL__SIGRTMAXMINUS14, "SIGRTMAX-14"},
    {CRI__SIGNAL__SIGRTMAXMINUS13, "SIGRTMAX-13"}, {CRI__SIGNAL__SIGRTMAXMINUS12, "SIGRTMAX-12"},
    {CRI__SIGNAL__SIGRTMAXMINUS11, "SIGRTMAX-11"}, {CRI__SIGNAL__SIGRTMAXMINUS10, "SIGRTMAX-10"},
    {CRI__SIGNAL__SIGRTMAXMINUS9, "SIGRTMAX-9"},   {CRI__SIGNAL__SIGRTMAXMINUS8, "SIGRTMAX-8"},
    {CRI__SIGNAL__SIGRTMAXMINUS7, "SIGRTMAX-7"},   {CRI__SIGNAL__SIGRTMAXMINUS6, "SIGRTMAX-6"},
    {CRI__SIGNAL__SIGRTMAXMINUS5, "SIGRTMAX-5"},   {CRI__SIGNAL__SIGRTMAXMINUS4, "SIGRTMAX-4"},
    {CRI__SIGNAL__SIGRTMAXMINUS3, "SIGRTMAX-3"},   {CRI__SIGNAL__SIGRTMAXMINUS2, "SIGRTMAX-2"},
    {CRI__SIGNAL__SIGRTMAXMINUS1, "SIGRTMAX-1"},
};

Cri__Signal stop_signal_of(const char *name)
{
    if (!name)
        return CRI__SIGNAL__RUNTIME_DEFAULT;
    for (size_t i = 0; i < ARRAY_SIZE(real_time); i++) {
        if (strcmp(real_time[i].name, name) == 0)
            return real_time[i].signal;
    }
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value_by_name(&cri__signal__descriptor, name);
    return value ? (Cri__Signal)value->value : CRI__SIGNAL__RUNTIME_DEFAULT;
}

const char *stop_signal_name(Cri__Signal signal)
{
    if (signal == CRI__SIGNAL__RUNTIME_DEFAULT)
        return NULL;
    for (size_t i = 0; i < ARRAY_SIZE(real_time); i++) {
        if (real_time[i].signal == signal)
            return real_time[i].name;
    }
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value(&cri__signal__descriptor, (int)signal);
    return value ? value->name : NULL;
}
