"""The wall before readers written in C: no file may take the program down with it."""
