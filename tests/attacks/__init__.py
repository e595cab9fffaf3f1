"""What a student with a year would try, each as a test that it leads nowhere."""
