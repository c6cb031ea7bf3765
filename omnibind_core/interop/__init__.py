"""The model in the forms that other libraries call: each module is one library's."""
