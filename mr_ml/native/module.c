#include "libsvm_rows.h"

static int add_functions(PyObject *module)
{
    PyMethodDef *all[] = {libsvm_methods, csv_methods,    row_methods,  product_methods,
                          column_methods, narrow_methods, write_methods, crc_methods};
    fill_powers();
    fill_crc();
#ifdef SHUFFLES
    fill_shuffles();
#endif
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        if (PyModule_AddFunctions(module, all[k]))
            return -1;
    return 0;
}

static PyModuleDef_Slot SLOTS[] = {
    {Py_mod_exec, (void *)add_functions},
    {0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, .m_name = "mr_ml._native", .m_doc = "Compiled inner loops.", .m_size = 0, .m_slots = SLOTS,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&MODULE);
}
