// A stand-in for what AITER compiles for the host: unlike the one beside it, it includes no binary, so
// that ccache can keep it.
extern "C" int aiter_host_part() { return sizeof(STAND_IN_TARGET); }
