/* NVIDIA's management library of a computer with a GeForce RTX 3060, for tests on one without. */
#include <string.h>
#define EX __declspec(dllexport)
EX int nvmlInit_v2(void) { return 0; }
EX int nvmlInitWithFlags(unsigned flags) { return 0; }
EX int nvmlShutdown(void) { return 0; }
EX int nvmlSystemGetDriverVersion(char *text, unsigned size) { strncpy(text, "581.29", size); return 0; }
EX int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 13000; return 0; }
EX int nvmlDeviceGetCount_v2(unsigned *count) { *count = 1; return 0; }
EX int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { *device = (void *)1; return 0; }
EX int nvmlDeviceGetName(void *device, char *text, unsigned size) { strncpy(text, "NVIDIA GeForce RTX 3060", size); return 0; }
EX int nvmlDeviceGetCudaComputeCapability(void *device, int *major, int *minor) { *major = 8; *minor = 6; return 0; }
EX int nvmlDeviceGetUtilizationRates(void *device, unsigned *rates) { rates[0] = 12; rates[1] = 3; return 0; }
EX int nvmlDeviceGetTemperature(void *device, int kind, unsigned *degrees) { *degrees = 51; return 0; }
EX int nvmlDeviceGetMemoryInfo(void *device, unsigned long long *memory) {
    memory[0] = 12884901888ull; memory[2] = 1200000000ull; memory[1] = memory[0] - memory[2];
    return 0;
}
EX const char *nvmlErrorString(int error) { return "error"; }
